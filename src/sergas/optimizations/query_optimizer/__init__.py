"""A database's own plans and costs, and indexes for a whole workload within a budget."""

from sergas.optimizations.query_optimizer._advice import (
    Advice,
    IndexAdvice,
    QueryCost,
    SkippedQuery,
)
from sergas.optimizations.query_optimizer._batch import insert_many, update_many, upsert_many
from sergas.optimizations.query_optimizer._fingerprint import Fingerprint, fingerprint
from sergas.optimizations.query_optimizer._health import IndexFinding
from sergas.optimizations.query_optimizer._keyset import Key, Keyset, Page
from sergas.optimizations.query_optimizer._lint import (
    ColumnFacts,
    Finding,
    SchemaFacts,
    Severity,
    TableFacts,
    facts_of,
    lint,
)
from sergas.optimizations.query_optimizer._listen import RecordedConnection
from sergas.optimizations.query_optimizer._loader import BatchLoader, ThreadBatchLoader
from sergas.optimizations.query_optimizer._measure import Measurement
from sergas.optimizations.query_optimizer._n_plus_one import (
    NPlusOne,
    NPlusOneDetector,
    detect_n_plus_one,
)
from sergas.optimizations.query_optimizer._optimizer import QueryOptimizer
from sergas.optimizations.query_optimizer._plan import PlanStep, QueryPlan, StepKind
from sergas.optimizations.query_optimizer._record import (
    QueryRecord,
    Recorder,
    load_workload,
    record,
    save_workload,
)
from sergas.optimizations.query_optimizer._result_cache import CachedConnection, ResultCache
from sergas.optimizations.query_optimizer._what_if import IndexEvaluation
from sergas.optimizations.query_optimizer._workload import Workload, WorkloadQuery

__all__ = [
    "Advice",
    "BatchLoader",
    "CachedConnection",
    "ColumnFacts",
    "Finding",
    "Fingerprint",
    "IndexAdvice",
    "IndexEvaluation",
    "IndexFinding",
    "Key",
    "Keyset",
    "Measurement",
    "NPlusOne",
    "NPlusOneDetector",
    "Page",
    "PlanStep",
    "QueryCost",
    "QueryOptimizer",
    "QueryPlan",
    "QueryRecord",
    "RecordedConnection",
    "Recorder",
    "ResultCache",
    "SchemaFacts",
    "Severity",
    "SkippedQuery",
    "StepKind",
    "TableFacts",
    "ThreadBatchLoader",
    "Workload",
    "WorkloadQuery",
    "detect_n_plus_one",
    "facts_of",
    "fingerprint",
    "insert_many",
    "lint",
    "load_workload",
    "record",
    "save_workload",
    "update_many",
    "upsert_many",
]
