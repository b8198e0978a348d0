"""What a ramdisk tells of its own boot: ``boot/KEY/stage?stage=login&outcome=failed&text=...``.

The key is that of the boot's files: who knows it is the machine itself, or has seen its
boot files. Pure; the text is the machine's and only ever shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drophammer.errors import Invalid

#: The kernel parameter that tells a ramdisk of ours where to report to.
PARAMETER = "drophammer_stage"
FAILED, DONE = "failed", "done"
_LONGEST = 300
#: What ramdisk/files/iscsiroot goes through. No other word: each makes an event of its own.
STAGES = ("cmdline", "modules", "network", "login", "mount", "overlay", "handover")


@dataclass(frozen=True)
class Report:
    stage: str
    outcome: str
    text: str

    def message(self) -> str:
        return f"ramdisk: stage {self.stage} {self.outcome}" + (f": {self.text}" * bool(self.text))


def report(query: Mapping[str, str]) -> Report:
    """The report in a URL's query. Raises Invalid."""
    stage, outcome = query.get("stage", ""), query.get("outcome", "")
    if stage not in STAGES or outcome not in (FAILED, DONE):
        raise Invalid(
            f"A report has a stage ({', '.join(STAGES)}) and an outcome, {FAILED!r} or {DONE!r}."
        )
    text = "".join(one if " " <= one <= "~" else "?" for one in query.get("text", ""))
    return Report(stage, outcome, " ".join(text[:_LONGEST].split()))


def parameter(base_url: str, key: str) -> str:
    """The kernel parameter for the boot with ``key``."""
    return f"{PARAMETER}={base_url}/boot/{key}/stage"
