"""From the folders of finished runs to what can be said of them: results, statistics, conclusions, a page.

results -> measures -> statistics -> conclusions -> charts -> page, tables, pictures. Nothing here trains.
"""
