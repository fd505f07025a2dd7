"""What the evaluator looks at: events of runs, what goes on, the ledger, freshness, health, logs, deliveries."""
