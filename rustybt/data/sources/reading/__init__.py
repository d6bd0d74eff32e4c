"""Reading tables that others wrote: columns, dates, numbers."""
