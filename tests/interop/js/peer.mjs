// A js-libp2p node that obeys commands: one JSON object per line on stdin, one answer per line on stdout.
// Ends with its stdin, so that no test leaves one behind.
//   node --import ./node20.mjs peer.mjs [/meshsub/1.1.0 ...]
import { createHash, randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createLibp2p } from 'libp2p'
import { tcp } from '@libp2p/tcp'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { gossipsub } from '@libp2p/gossipsub'
import { multiaddr } from '@multiformats/multiaddr'

const ECHO = '/interop/echo/1'
const meshsub = process.argv.slice(2)
const pubsub = gossipsub({ globalSignaturePolicy: 'StrictSign', allowPublishToZeroTopicPeers: true, floodPublish: false })
const restricted = components => {
  const router = pubsub(components)
  if (meshsub.length > 0) {
    router.protocols = meshsub
  }
  return router
}

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux({ keepAliveInterval: 300 })],
  connectionGater: { denyDialMultiaddr: () => false },
  services: { identify: identify({ runOnConnectionOpen: true }), ping: ping(), pubsub: restricted }
})

async function send (stream, data) {
  if (!stream.send(data)) {
    await stream.onDrain()
  }
}

await node.handle(ECHO, async stream => {
  for await (const piece of stream) {
    await send(stream, piece)
  }
  await stream.close()
})

const messages = []
node.services.pubsub.addEventListener('gossipsub:message', ({ detail }) => {
  const { topic, data, from, type } = detail.msg
  messages.push({ topic, data: Buffer.from(data).toString('hex'), from: from?.toString() ?? '', type })
})

let remote
const commands = {
  async dial ({ address }) {
    const connection = await node.dial(multiaddr(address))
    remote = connection.remotePeer
    return { encryption: connection.encryption, muxer: connection.multiplexer, peer: remote.toString() }
  },
  async ping () {
    return { rtt_ms: await node.services.ping.ping(remote) }
  },
  async identify () {
    const [connection] = node.getConnections(remote)
    const found = await node.services.identify.identify(connection)
    return {
      agent: found.agentVersion,
      protocols: found.protocols,
      observed: found.observedAddr?.toString() ?? '',
      addresses: found.listenAddrs.map(String),
      signed_record: found.signedPeerRecord != null
    }
  },
  async protocols ({ names }) {
    const spoken = []
    for (const name of names) {
      try {
        const stream = await node.dialProtocol(remote, name)
        spoken.push(name)
        stream.abort(new Error('enough'))
      } catch {}
    }
    return { spoken }
  },
  async echo ({ count }) {
    const stream = await node.dialProtocol(remote, ECHO)
    const sent = createHash('sha256')
    const received = createHash('sha256')
    const buffer = randomBytes(1 << 16)
    const began = performance.now()
    const writing = (async () => {
      for (let left = count; left > 0; left -= buffer.length) {
        const piece = buffer.subarray(0, Math.min(left, buffer.length))
        sent.update(piece)
        await send(stream, piece)
      }
      await stream.close()
    })()
    let arrived = 0
    for await (const piece of stream) {
      for (const part of piece instanceof Uint8Array ? [piece] : piece) {
        received.update(part)
        arrived += part.byteLength
      }
    }
    await writing
    return { sent: sent.digest('hex'), received: received.digest('hex'), count: arrived, seconds: (performance.now() - began) / 1000 }
  },
  async subscribe ({ topic }) {
    node.services.pubsub.subscribe(topic)
    return {}
  },
  async publish ({ topic, data }) {
    const { recipients } = await node.services.pubsub.publish(topic, Buffer.from(data, 'hex'))
    return { recipients: recipients.map(String) }
  },
  async messages () {
    return { messages }
  },
  async mesh ({ topic }) {
    return {
      mesh: node.services.pubsub.getMeshPeers(topic),
      streams: node.getConnections().flatMap(c => c.streams.map(s => s.protocol))
    }
  },
  async hangup () {
    await node.hangUp(remote)
    return {}
  }
}

const say = answer => process.stdout.write(JSON.stringify(answer) + '\n')
say({ address: node.getMultiaddrs()[0].toString(), peer: node.peerId.toString() })
for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...rest } = JSON.parse(line)
  try {
    say(await commands[name](rest))
  } catch (error) {
    process.stderr.write(`${error.stack}\n`)
    say({ error: `${error.name}: ${error.message}` })
  }
}
await node.stop()
process.exit(0)
