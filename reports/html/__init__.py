"""One self-contained HTML file for each run."""
from diarchy.reports.html.page import render as render
