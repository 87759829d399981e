// js-libp2p 3.3 uses this one function of Node 22; everything else runs on Node 20.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}
