"""From the folders of finished runs to a report: results, statistics, conclusions, a page.

results -> measures -> statistics -> conclusions -> charts -> page, tables, pictures. Nothing here trains.
"""
