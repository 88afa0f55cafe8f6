"""The steps of a run as units that read folders and write one: kept, not repeated, and done wherever one likes."""

from .job import Job as Job
from .local import LocalExecutor as LocalExecutor
from .registry import get_stage as get_stage
from .registry import register_stage as register_stage
from .registry import stages as stages
from .stage import Artefact as Artefact
from .stage import Executor as Executor
from .stage import Stage as Stage
