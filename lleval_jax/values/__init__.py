"""What passes from hand to hand: frozen, named, on the host."""

from lleval_jax.values.audit import Audit as Audit
from lleval_jax.values.bank import Anchors as Anchors
from lleval_jax.values.bank import Calibration as Calibration
from lleval_jax.values.bank import ItemBank as ItemBank
from lleval_jax.values.comparison import Comparison as Comparison
from lleval_jax.values.draws import Draws as Draws
from lleval_jax.values.gate import Gate as Gate
from lleval_jax.values.leaderboard import Leaderboard as Leaderboard
from lleval_jax.values.pairs import Pairs as Pairs
from lleval_jax.values.progress import Progress as Progress
from lleval_jax.values.responses import Responses as Responses
from lleval_jax.values.results import Choice as Choice
from lleval_jax.values.results import Estimate as Estimate
from lleval_jax.values.results import FitResult as FitResult
from lleval_jax.values.results import Source as Source
from lleval_jax.values.sparse import SparseResponses as SparseResponses
from lleval_jax.values.trust import Dependence as Dependence
from lleval_jax.values.trust import Examination as Examination
from lleval_jax.values.trust import Finding as Finding
from lleval_jax.values.trust import Guard as Guard
from lleval_jax.values.trust import ItemReport as ItemReport
from lleval_jax.values.trust import LeftOut as LeftOut
from lleval_jax.values.trust import Recovery as Recovery
from lleval_jax.values.trust import Rotation as Rotation
from lleval_jax.values.trust import Shuffled as Shuffled
from lleval_jax.values.trust import Verdict as Verdict
