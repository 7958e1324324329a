"""Workflows and Executions as servers: deployed workflows, executions that survive, gRPC and REST."""
