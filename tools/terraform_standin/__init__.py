"""Real Terraform without a registry: a stand-in for the provider `hashicorp/google`, for checks on a desk or in CI.

The stand-in serves the schema of google 6.50.0, recovered from a published binding, to Terraform's own core, which then
does everything that it does with the real provider: names of arguments, types, references, `for_each`, the plan, apply,
state, `test`. It plans by repeating the configuration, and keeps state; it calls no cloud. So it cannot see what only
the provider's own code or Google's API refuses: arguments that exclude each other, rules on names, quotas, permissions,
changes that replace a resource.

    python -m tools.terraform_standin check          # every example: fmt, validate, test, plan, apply, re-plan, destroy
    python -m tools.terraform_standin install        # print the CLI configuration to set as TF_CLI_CONFIG_FILE
"""
