"""The public names of `lleval_jax.lm` and where each one lives. `__init__.py` reads them from here."""

from lleval_jax.lm.asking import complete_all as complete_all
from lleval_jax.lm.cache import Cache as Cache
from lleval_jax.lm.choices import Chosen as Chosen
from lleval_jax.lm.choices import choices as choices
from lleval_jax.lm.client import Client as Client
from lleval_jax.lm.client import Failed as Failed
from lleval_jax.lm.client import Message as Message
from lleval_jax.lm.client import Reply as Reply
from lleval_jax.lm.client import Request as Request
from lleval_jax.lm.client import TokenLogprob as TokenLogprob
from lleval_jax.lm.config import Config as Config
from lleval_jax.lm.decoder import Decoder as Decoder
from lleval_jax.lm.generate import Written as Written
from lleval_jax.lm.generate import generate as generate
from lleval_jax.lm.logprobs import Chunks as Chunks
from lleval_jax.lm.logprobs import answer_logprobs as answer_logprobs
from lleval_jax.lm.openai_client import OpenAIClient as OpenAIClient
from lleval_jax.lm.pace import Retry as Retry
from lleval_jax.lm.recording import Recording as Recording
from lleval_jax.lm.replies import Replies as Replies
from lleval_jax.lm.replies import cached as cached
from lleval_jax.lm.sampling import Sampling as Sampling
from lleval_jax.lm.score import Scored as Scored
from lleval_jax.lm.score import perplexity as perplexity
from lleval_jax.lm.score import score as score
from lleval_jax.lm.tokens import Tokens as Tokens
