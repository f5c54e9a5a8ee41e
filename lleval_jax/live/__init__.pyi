"""The public names of `lleval_jax.live` and where each one lives. `__init__.py` reads them from here."""

from lleval_jax.live.archive import Addresses as Addresses
from lleval_jax.live.archive import Harvest as Harvest
from lleval_jax.live.archive import document as document
from lleval_jax.live.archive import harvest as harvest
from lleval_jax.live.fetch import Fetcher as Fetcher
from lleval_jax.live.fetch import NotFetched as NotFetched
from lleval_jax.live.licences import Licence as Licence
from lleval_jax.live.licences import allowed as allowed
from lleval_jax.live.papers import atom as atom
from lleval_jax.live.papers import identity as identity
from lleval_jax.live.papers import merged as merged
from lleval_jax.live.papers import oai as oai
from lleval_jax.live.papers import rss as rss
from lleval_jax.live.values import Element as Element
from lleval_jax.live.values import Finding as Finding
from lleval_jax.live.values import Panel as Panel
from lleval_jax.live.values import Paper as Paper
from lleval_jax.live.values import Question as Question
from lleval_jax.live.values import Verdict as Verdict
