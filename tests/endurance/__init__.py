"""Hours in minutes: a crm_mon that misbehaves at random, bad clients, a clock that jumps."""
