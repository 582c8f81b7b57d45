"""The report, put together from its sections."""

from tools.performance_report.blocks import Document
from tools.performance_report.material import Material
from tools.performance_report.sections.appendix import every_test, glossary, raw_data
from tools.performance_report.sections.change import compared
from tools.performance_report.sections.conclusions import bottlenecks, capacity, recommendations
from tools.performance_report.sections.measured import measured_sections
from tools.performance_report.sections.method import methodology
from tools.performance_report.sections.summary import card, service_levels

__all__ = ["document_of"]


def document_of(material: Material) -> Document:
    """The verdict first, then what it rests on, then how it was come by."""
    return Document(
        title="Performance report",
        card=card(material),
        sections=(
            service_levels(material),
            *measured_sections(material),
            bottlenecks(material),
            recommendations(material),
            capacity(material),
            compared(material),
            every_test(material),
            methodology(material),
            raw_data(material),
            glossary(),
        ),
    )
