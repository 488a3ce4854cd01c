"""The contract that import-linter has no type for: modules whose name starts with _ are their package's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from importlinter import Contract, ContractCheck, output

if TYPE_CHECKING:
    from grimp import ImportGraph


class PrivateModules(Contract):
    """No module whose name starts with _ is imported from another package than the one that it stands in."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter's names
        """Look at each import of a private module."""
        private = [name for name in graph.modules if _is_private(name)]
        strangers = [
            (importer, name)
            for name in private
            for importer in sorted(graph.find_modules_that_directly_import(name))
            if not importer.startswith(f"{name.rpartition('.')[0]}.") and importer != name.rpartition(".")[0]
        ]
        return ContractCheck(kept=not strangers, metadata={"strangers": strangers})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name the imports."""
        for importer, name in check.metadata["strangers"]:
            output.print_error(f"{importer} imports {name}, which is private to its package")


def _is_private(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.endswith("__")
