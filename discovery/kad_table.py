"""The routing table: for each length of prefix shared with us, the k contacts that have been alive the longest.

Source: Kademlia sections 2.2, 2.4 and 4.1. A newcomer never displaces a contact that answers: it waits in the bucket's
replacement cache while the least recently seen contact is pinged. Uptime predicts uptime, and a flood of new identities
gets no place. Only who was heard from directly enters; whoever is merely told of is for lookups.

Buckets are one for each prefix from the start, not split lazily as the paper draws them: the contacts kept are the same
but for the bucket around us, and a bucket without contacts costs nothing. Entries carry no time: their order is it.
"""

from collections.abc import Iterator
from typing import final

from .kad_contact import Contact, shared_prefix
from .kad_params import KEY_BITS, KadParams


@final
class _Bucket:
    """`contacts` and `spares` are in order of when they were seen, the longest ago first."""

    __slots__ = ("check_us", "contacts", "spares", "touched_us")

    def __init__(self, now_us: int, check_us: int) -> None:
        self.contacts: list[Contact] = []
        self.spares: list[Contact] | None = None
        self.check_us = check_us
        self.touched_us = now_us


@final
class RoutingTable:
    """Contacts by their distance from `own_key`; times are those of the machine that it belongs to."""

    __slots__ = ("_buckets", "_misses", "_own", "_params")

    def __init__(self, own_key: int, params: KadParams) -> None:
        self._own = own_key
        self._params = params
        self._buckets: list[_Bucket | None] = []
        self._misses: dict[int, int] = {}

    def seen(self, contact: Contact, now_us: int) -> Contact | None:
        """`contact` was heard from; returns whom to ping, if a full bucket's oldest contact is to be checked.

        A contact without addresses is not taken in. One that we have keeps its object unless its addresses change.
        """
        index = shared_prefix(self._own, contact.key)
        if index == KEY_BITS:
            return None
        bucket = self._bucket(index, now_us)
        place = _place(bucket.contacts, contact.key)
        if place is not None:
            known = bucket.contacts.pop(place)
            moved = contact.addresses and contact.addresses != known.addresses
            bucket.contacts.append(contact if moved else known)
            if self._misses:
                self._misses.pop(contact.key, None)
            return None
        if not contact.addresses or self._is_crowded(bucket, contact):
            return None
        if len(bucket.contacts) < self._params.k:
            _forget(bucket.spares, contact.key)
            bucket.contacts.append(contact)
            return None
        self._keep_spare(bucket, contact)
        if now_us < bucket.check_us:
            return None
        bucket.check_us = now_us + self._params.check_us
        return bucket.contacts[0]

    def failed(self, key: int) -> None:
        """A request to the contact went unanswered: a replacement takes its place, or it goes after `max_misses`."""
        bucket = self._at(shared_prefix(self._own, key))
        place = None if bucket is None else _place(bucket.contacts, key)
        if bucket is None or place is None:
            return
        misses = self._misses.get(key, 0) + 1
        silent = bucket.contacts.pop(place)
        if self._promote(bucket) or misses >= self._params.max_misses:
            self._misses.pop(key, None)
        else:
            bucket.contacts.insert(place, silent)
            self._misses[key] = misses

    def remove(self, key: int) -> None:
        """Forget a contact that broke the protocol."""
        bucket = self._at(shared_prefix(self._own, key))
        if bucket is None:
            return
        _forget(bucket.spares, key)
        place = _place(bucket.contacts, key)
        if place is not None:
            del bucket.contacts[place]
            self._misses.pop(key, None)
            self._promote(bucket)

    def closest(self, target: int, count: int, *, answering: bool = False) -> list[Contact]:
        """The `count` contacts closest to `target`, the closest first; if `answering`, none with an unanswered request.

        Bucket i is closer to `target` than all later ones if `target` differs from us in bit i, and farther than all
        later ones if not. So buckets are taken whole, in their order of distance, and only contacts within are sorted.
        """
        distance = self._own ^ target
        nearer: list[_Bucket] = []
        farther: list[_Bucket] = []
        for index, bucket in enumerate(self._buckets):
            if bucket is not None:
                (nearer if distance >> (KEY_BITS - 1 - index) & 1 else farther).append(bucket)
        found: list[Contact] = []
        for bucket in (*nearer, *reversed(farther)):
            contacts = bucket.contacts
            if answering and self._misses:
                contacts = [contact for contact in contacts if contact.key not in self._misses]
            found += sorted(contacts, key=lambda contact: contact.key ^ target)
            if len(found) >= count:
                break
        del found[count:]
        return found

    def find(self, key: int) -> Contact | None:
        """The contact of this key."""
        bucket = self._at(shared_prefix(self._own, key))
        if bucket is not None:
            for contact in bucket.contacts:
                if contact.key == key:
                    return contact
        return None

    def touch(self, target: int, now_us: int) -> None:
        """A lookup of `target` has begun: its bucket is fresh."""
        bucket = self._at(shared_prefix(self._own, target))
        if bucket is not None:
            bucket.touched_us = now_us

    def stale(self, now_us: int, age_us: int) -> list[int]:
        """Numbers of the buckets, up to the nearest with a contact, that no lookup has touched for `age_us`."""
        nearest = max((index for index, bucket in enumerate(self._buckets) if bucket and bucket.contacts), default=-1)
        due: list[int] = []
        for index, bucket in enumerate(self._buckets[: nearest + 1]):
            if bucket is None or bucket.touched_us + age_us <= now_us:
                due.append(index)
        return due

    def bucket(self, index: int) -> tuple[Contact, ...]:
        """Contacts that share `index` bits with us, the least recently seen first."""
        bucket = self._at(index)
        return () if bucket is None else tuple(bucket.contacts)

    def replacements(self, index: int) -> tuple[Contact, ...]:
        """Who waits for a place in that bucket, the least recently seen first."""
        bucket = self._at(index)
        return () if bucket is None else tuple(bucket.spares or ())

    def __len__(self) -> int:
        return sum(len(bucket.contacts) for bucket in self._buckets if bucket is not None)

    def __iter__(self) -> Iterator[Contact]:
        for bucket in self._buckets:
            if bucket is not None:
                yield from bucket.contacts

    def _at(self, index: int) -> _Bucket | None:
        return self._buckets[index] if index < len(self._buckets) else None

    def _bucket(self, index: int, now_us: int) -> _Bucket:
        if index >= len(self._buckets):
            self._buckets += [None] * (index + 1 - len(self._buckets))
        bucket = self._buckets[index]
        if bucket is None:
            bucket = self._buckets[index] = _Bucket(now_us, now_us + self._params.check_us)
        return bucket

    def _is_crowded(self, bucket: _Bucket, contact: Contact) -> bool:
        limit = self._params.max_per_network
        network = contact.network if limit else ""
        return network != "" and sum(other.network == network for other in bucket.contacts) >= limit

    def _keep_spare(self, bucket: _Bucket, contact: Contact) -> None:
        if bucket.spares is None:
            bucket.spares = []
        _forget(bucket.spares, contact.key)
        bucket.spares.append(contact)
        if len(bucket.spares) > self._params.replacements:
            del bucket.spares[0]

    def _promote(self, bucket: _Bucket) -> bool:
        """Give a free place to the replacement seen last; False if there is none."""
        for spare in reversed(bucket.spares or ()):
            if not self._is_crowded(bucket, spare):
                _forget(bucket.spares, spare.key)
                bucket.contacts.append(spare)
                return True
        return False


def _place(contacts: list[Contact], key: int) -> int | None:
    for place, contact in enumerate(contacts):
        if contact.key == key:
            return place
    return None


def _forget(contacts: list[Contact] | None, key: int) -> None:
    if contacts:
        place = _place(contacts, key)
        if place is not None:
            del contacts[place]
