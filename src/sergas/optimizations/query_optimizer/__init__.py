"""SQLite's own plans, exact query costs and index advice that was measured."""

from sergas.optimizations.query_optimizer._measure import Measurement
from sergas.optimizations.query_optimizer._optimizer import QueryOptimizer
from sergas.optimizations.query_optimizer._plan import PlanStep, QueryPlan, StepKind
from sergas.optimizations.query_optimizer._what_if import IndexEvaluation
from sergas.optimizations.query_optimizer._workload import Workload, WorkloadQuery

__all__ = [
    "IndexEvaluation",
    "Measurement",
    "PlanStep",
    "QueryOptimizer",
    "QueryPlan",
    "StepKind",
    "Workload",
    "WorkloadQuery",
]
