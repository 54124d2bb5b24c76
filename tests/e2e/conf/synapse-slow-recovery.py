# A Synapse as it is, but slow to note that an application service is up again: it has found nothing more to hand over,
# and all that is said in the second after it is stranded.
import runpy

from synapse.appservice import scheduler
from synapse.util.duration import Duration

on_recovered = scheduler._TransactionController.on_recovered


async def slowly(self, recoverer):
    await self.clock.sleep(Duration(seconds=1))
    await on_recovered(self, recoverer)


scheduler._TransactionController.on_recovered = slowly
runpy.run_module("synapse.app.homeserver", run_name="__main__")
