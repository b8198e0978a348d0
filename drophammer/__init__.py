"""What every role of Drophammer shares: states, tables, transactions, bus, configuration.

Imports no role package (``api``, ``conductor``, ``netboot``, ``agent``).
"""

__version__ = "0.1.0"
