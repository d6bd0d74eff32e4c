"""From a source into a bundle: the plan, the job with its journal, the one commit, the report; and the update."""
