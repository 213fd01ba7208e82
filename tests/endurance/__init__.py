"""Hours of operation in minutes: crm_mon fails at random, clients stall, the clock jumps."""
