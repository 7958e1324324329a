"""Faults of functions, services, workflows and identities."""

from tests.bootstrap.planting import (
    ACCOUNTS,
    APPLY,
    FUNCTIONS,
    NO_IAM,
    PROJECT_POLICY,
    RECEIVER,
    RUN,
    Plant,
    account,
    function,
    unbound,
    without,
)
from tests.bootstrap.recorded import HERE

__all__ = ["PLANTS"]

PLANTS = (
    # --- what is deployed
    Plant(
        "function-missing",
        FUNCTIONS,
        without("functions", "/pointsman-notify"),
        *("functions", "fail", "pointsman-notify", "it is not deployed"),
        APPLY,
    ),
    Plant(
        "function-failed",
        FUNCTIONS,
        function("command", lambda it: it.update(state="FAILED", stateMessages=[{"message": "the build failed"}])),
        *("functions", "fail", "pointsman-command", "its state is FAILED: the build failed"),
        "gcloud functions logs read pointsman-command --region=us-central1 --project=acme-ml",
    ),
    Plant(
        "function-runs-as-another",
        FUNCTIONS,
        function("notify", lambda it: it["serviceConfig"].update(serviceAccountEmail=account("sweep"))),
        *("functions", "fail", "pointsman-notify", f"it runs as {account('sweep')}"),
        APPLY,
    ),
    Plant(
        "function-built-by-the-default-account",
        FUNCTIONS,
        function("notify", lambda it: it["buildConfig"].pop("serviceAccount")),
        *("functions", "fail", "pointsman-notify", "it is built by the default account"),
        APPLY,
    ),
    Plant(
        "function-of-another-archive",
        FUNCTIONS,
        function("sweep", lambda it: it["buildConfig"]["source"]["storageSource"].update(object="functions-0.zip")),
        *("archive", "warn", "pointsman-sweep", "it is of the archive functions-0.zip"),
        APPLY,
    ),
    Plant(
        "service-not-ready",
        f"{RUN}/pointsman-on-alert",
        lambda body: body.update(terminalCondition={"state": "CONDITION_FAILED", "message": "no instance starts"}),
        *("services", "fail", "pointsman-on-alert", "it is not ready: no instance starts"),
        "gcloud run services describe pointsman-on-alert --region=us-central1 --project=acme-ml",
    ),
    Plant(
        "receiver-internal",
        f"{RUN}/pointsman-receive-webhook",
        lambda body: body.update(ingress="INGRESS_TRAFFIC_INTERNAL_ONLY"),
        *("services", "fail", "pointsman-receive-webhook", "no webhook gets in"),
        "gcloud run services update pointsman-receive-webhook --ingress=all --region=us-central1",
    ),
    Plant(
        "receiver-not-public",
        f"{RUN}/pointsman-receive-webhook:getIamPolicy",
        lambda body: body.update(bindings=[]),
        *("invokers", "fail", "pointsman-receive-webhook", "webhooks are turned away"),
        NO_IAM,
    ),
    Plant(
        "a-step-is-public",
        f"{RUN}/pointsman-rollout-step:getIamPolicy",
        lambda body: body["bindings"][0]["members"].append("allAuthenticatedUsers"),
        *("invokers", "fail", "pointsman-rollout-step", "allAuthenticatedUsers may call it"),
        "gcloud run services remove-iam-policy-binding pointsman-rollout-step --member=allAuthenticatedUsers"
        " --region=us-central1 --project=acme-ml --role=roles/run.invoker",
    ),
    Plant(
        "a-workflow-may-not-call",
        f"{RUN}/pointsman-pool-step:getIamPolicy",
        unbound(f"serviceAccount:{account('scale-pool')}"),
        *("invokers", "fail", "pointsman-pool-step", "pointsman-scale-pool@acme-ml.iam.gserviceaccount.com may not"),
        "gcloud run services add-iam-policy-binding pointsman-pool-step"
        f" --member=serviceAccount:{account('scale-pool')}"
        " --region=us-central1 --project=acme-ml --role=roles/run.invoker",
    ),
    Plant(
        "a-stranger-may-call",
        f"{RUN}/pointsman-sweep:getIamPolicy",
        lambda body: body["bindings"][0]["members"].append("user:mallory@example.com"),
        *("invokers", "warn", "pointsman-sweep", "user:mallory@example.com may call it"),
        "gcloud run services remove-iam-policy-binding pointsman-sweep --member=user:mallory@example.com"
        " --region=us-central1 --project=acme-ml --role=roles/run.invoker",
    ),
    Plant(
        "receiver-behind-iam",
        RECEIVER,
        lambda body: body.update(status=403, body="<html><title>403 Forbidden</title>"),
        *("receiver", "fail", "pointsman-receive-webhook", "Google answers 403 in its place"),
        NO_IAM,
    ),
    Plant(
        "receiver-without-secrets",
        RECEIVER,
        lambda body: body.update(status=503),
        *("receiver", "fail", "pointsman-receive-webhook", "it answers 503"),
        "gcloud functions logs read pointsman-receive-webhook --region=us-central1 --project=acme-ml",
    ),
    Plant(
        "receiver-believes-strangers",
        RECEIVER,
        lambda body: body.update(status=202),
        *("receiver", "fail", "pointsman-receive-webhook", "answered with 202, not 401"),
        "gcloud functions logs read pointsman-receive-webhook --region=us-central1 --project=acme-ml",
    ),
    Plant(
        "workflow-broken",
        f"workflows.googleapis.com/v1/{HERE}/workflows/roll-back",
        lambda body: body.update(state="UNAVAILABLE", stateError={"details": "KMS key disabled"}),
        *("workflows", "fail", "roll-back", "it cannot be executed: KMS key disabled"),
        APPLY,
    ),
    Plant(
        "workflow-drifted",
        f"workflows.googleapis.com/v1/{HERE}/workflows/roll-out",
        lambda body: body.update(sourceContents="main: {steps: []}"),
        *("workflows", "warn", "roll-out", "revision 000001-27d is not this checkout's file"),
        APPLY,
    ),
    Plant(
        "workflow-runs-as-the-default-account",
        f"workflows.googleapis.com/v1/{HERE}/workflows/scale-pool",
        lambda body: body.pop("serviceAccount"),
        *("workflows", "fail", "scale-pool", "it runs as the default account"),
        APPLY,
    ),
    # --- identities
    Plant(
        "account-disabled",
        f"{ACCOUNTS}/{account('roll-out')}",
        lambda body: body.update(disabled=True),
        *("accounts", "fail", account("roll-out"), "it is disabled"),
        f"gcloud iam service-accounts enable {account('roll-out')} --project=acme-ml",
    ),
    Plant(
        "account-with-a-key",
        f"{ACCOUNTS}/{account('sweep')}/keys",
        lambda body: body.update(keys=[{"name": f"projects/acme-ml/serviceAccounts/{account('sweep')}/keys/9af0"}]),
        *("account-keys", "fail", account("sweep"), "it has a key, 9af0"),
        f"gcloud iam service-accounts keys delete 9af0 --iam-account={account('sweep')} --project=acme-ml",
    ),
    Plant(
        "account-lost-a-right",
        PROJECT_POLICY,
        unbound(f"serviceAccount:{account('rollout-step')}", "projects/acme-ml/roles/pointsmanMetrics"),
        *("account-rights", "fail", account("rollout-step"), "it lacks monitoring.timeSeries.list"),
        APPLY,
    ),
    Plant(
        "account-with-a-wide-role",
        PROJECT_POLICY,
        lambda body: body["bindings"].append(
            {"role": "roles/editor", "members": [f"serviceAccount:{account('command')}"]}
        ),
        *("account-roles", "fail", account("command"), "it holds roles/editor"),
        f"gcloud projects remove-iam-policy-binding acme-ml --member=serviceAccount:{account('command')}"
        " --role=roles/editor",
    ),
    Plant(
        "account-with-a-right-too-many",
        "iam.googleapis.com/v1/projects/acme-ml/roles/pointsmanKubernetes",
        lambda body: body["includedPermissions"].append("container.pods.exec"),
        *("account-rights", "warn", account("rollout-step"), "it needs none of container.pods.exec"),
        "gcloud projects get-iam-policy acme-ml --flatten=bindings[].members"
        f" --filter=bindings.members:{account('rollout-step')} --format='value(bindings.role)'",
    ),
)
