"""Two broker processes on one PostgreSQL, three hospitals and an analyst between them."""

from __future__ import annotations

import asyncio
import json

from kapok.client.profile import Profile
from kapok.client.session import AsyncSession
from kapok.demo.processes import Daemon as Process
from kapok.documents.dataset import DATASET_TYP
from kapok.documents.envelope import JwsSigner
from kapok.identity.names import Role
from kapok.wire.channel import connect
from support.broker import settle
from support.daemons import Network, furnish
from support.postgres import PASSWORD

ORDER = ("gathering", "sealing", "releasing", "summed", "finished")
QUESTION = "SELECT COUNT(*), AVG(age) FROM clinic"


class Pair(Network):
    """Two brokers as processes, three hospitals and an analyst who know both addresses."""

    def __init__(self, folder, realm, dataset, place):
        super().__init__(folder, realm, dataset)
        self.place = place
        self.brokers = []

    async def open(self):
        for name in ("main", "second"):
            credentials = self.realm.credentials("exchange", Role.BROKER, name)
            more = f'store = "{self.place}"\nstore_password_file = "store.password"\n'
            home = settle(credentials, self.folder / f"broker-{name}", level="info", more=more)
            (home / "store.password").write_text(PASSWORD + "\n")
            (home / "store.password").chmod(0o600)
            self.brokers.append(Process(name, ["broker", "run"], home))
        for process in self.brokers:
            process.start()
        for process in self.brokers:
            address = await asyncio.to_thread(process.wait_ready)
            settings = process.home / "broker.toml"
            settings.write_text(settings.read_text().replace("127.0.0.1:0", address))
        self.addresses = [process.address for process in self.brokers]
        self.analyst = self.realm.credentials("university", Role.ANALYST, "one")
        async with await connect(self.analyst, self.addresses[0]) as line:
            document = JwsSigner(self.analyst).sign(DATASET_TYP, self.dataset.to_payload())
            self.hash = await line.catalogue.publish_dataset(document)
        for number, letter in enumerate("abc"):
            await self._hospital(letter, number)
        self.home = furnish(self.folder / "analyst", self.analyst)
        await self.both_know(3)

    async def _hospital(self, letter, number):
        """Each begins with another broker: so that jobs go through both."""
        places = self.addresses if number % 2 else self.addresses[::-1]
        await self.furnish(letter, broker=places).start()

    async def both_know(self, count):
        """Until each broker says that all nodes are connected, here or there."""
        async with asyncio.timeout(30):
            for address in self.addresses:
                async with await connect(self.analyst, address) as line:
                    while len((await line.catalogue.dataset(self.hash)).connected) != count:
                        await asyncio.sleep(0.05)

    def session(self, first):
        places = self.addresses if not first else self.addresses[::-1]
        (self.home / "analyst.toml").write_text(
            f'broker = {json.dumps(places)}\nseal = "pad"\npatience_s = 150\n'
        )
        return AsyncSession(Profile.load(self.home))

    def kill(self, number):
        self.brokers[number].kill()

    async def revive(self, number):
        self.brokers[number].start()
        await asyncio.to_thread(self.brokers[number].wait_ready)

    async def close(self):
        for node in self.nodes.values():
            await node.stop()
        for process in self.brokers:
            process.stop()


async def reached(server, before, state):
    """Until there is a job more, and it is in that state or behind it; return its state then."""
    async with asyncio.timeout(60):
        while True:
            with server.cursor("kapok_store") as cursor:
                cursor.execute("SELECT count(*), max(ordinal) FROM job")
                count, newest = cursor.fetchone()
                if count > before:
                    cursor.execute(f"SELECT state FROM job WHERE ordinal = {newest}")
                    found = cursor.fetchone()[0]
                    if ORDER.index(found) >= ORDER.index(state):
                        return found
            await asyncio.sleep(0.002)
