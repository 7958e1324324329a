"""Faults of what carries events, of what is kept, and of who warns."""

from tests.bootstrap.planting import (
    AGENT,
    APPLY,
    CHANNELS,
    DATABASE,
    JOBS,
    MONITORING,
    POLICIES,
    PROJECT_POLICY,
    PUBSUB,
    PUSH,
    RUN,
    TRIGGERS,
    UPDATE_PUSH,
    Plant,
    account,
    named,
    subscription,
    unbound,
    without,
)
from tests.bootstrap.recorded import PROJECT

__all__ = ["PLANTS"]

PLANTS = (
    # --- events
    Plant(
        "topic-missing",
        f"{PUBSUB}/topics",
        without("topics", "/notices"),
        *("topics", "fail", "notices", "there is no such topic"),
        APPLY,
    ),
    Plant(
        "dead-letter-kept-nowhere",
        f"{PUBSUB}/subscriptions",
        without("subscriptions", "/notices-dead"),
        *("subscriptions", "fail", "notices-dead", "dead letters are lost"),
        APPLY,
    ),
    Plant(
        "subscription-missing",
        f"{PUBSUB}/subscriptions",
        without("subscriptions", "/alert-fired-on-alert"),
        *("subscriptions", "fail", "alert-fired", "no subscription pushes it to pointsman-on-alert"),
        APPLY,
    ),
    Plant(
        "subscription-detached",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it.update(detached=True)),
        *("subscriptions", "fail", PUSH, "it is detached: nothing is delivered"),
        APPLY,
    ),
    Plant(
        "subscription-in-error",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it.update(state="RESOURCE_ERROR")),
        *("subscriptions", "fail", PUSH, "its state is RESOURCE_ERROR"),
        f"gcloud pubsub subscriptions describe {PUSH} --project=acme-ml",
    ),
    Plant(
        "subscription-pushes-elsewhere",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it["pushConfig"].update(pushEndpoint="https://old-uc.a.run.app")),
        *("subscriptions", "fail", PUSH, "it pushes to https://old-uc.a.run.app"),
        APPLY,
    ),
    Plant(
        "subscription-without-identity",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it["pushConfig"].pop("oidcToken")),
        *("subscriptions", "fail", PUSH, "it pushes without identity"),
        f"{UPDATE_PUSH} --push-endpoint=https://pointsman-on-repo-push-4fqx5zlkva-uc.a.run.app"
        f" --push-auth-service-account={account('pubsub-push')}"
        " --push-auth-token-audience=https://pointsman-on-repo-push-4fqx5zlkva-uc.a.run.app",
    ),
    Plant(
        "subscription-without-dead-letter",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it.pop("deadLetterPolicy")),
        *("subscriptions", "fail", PUSH, "it has no dead letter"),
        f"{UPDATE_PUSH} --dead-letter-topic=repo-pushed-dead --max-delivery-attempts=20",
    ),
    Plant(
        "subscription-gives-up-early",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it["deadLetterPolicy"].update(maxDeliveryAttempts=5)),
        *("subscriptions", "warn", PUSH, "the dead letter comes after 5 attempts"),
        f"{UPDATE_PUSH} --dead-letter-topic=repo-pushed-dead --max-delivery-attempts=20",
    ),
    Plant(
        "subscription-impatient",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it.update(ackDeadlineSeconds=10)),
        *("subscriptions", "warn", PUSH, "it delivers again after 10 s"),
        f"{UPDATE_PUSH} --ack-deadline=60",
    ),
    Plant(
        "subscription-expires",
        f"{PUBSUB}/subscriptions",
        subscription(PUSH, lambda it: it.update(expirationPolicy={"ttl": "2678400s"})),
        *("subscriptions", "fail", PUSH, "it is deleted after 2678400s without an event"),
        f"{UPDATE_PUSH} --expiration-period=never",
    ),
    Plant(
        "push-account-may-not-call",
        f"{RUN}/pointsman-on-repo-push:getIamPolicy",
        lambda body: body.update(bindings=[]),
        *("invokers", "fail", "pointsman-on-repo-push", f"serviceAccount:{account('pubsub-push')} may not call it"),
        f"gcloud run services add-iam-policy-binding pointsman-on-repo-push"
        f" --member=serviceAccount:{account('pubsub-push')}"
        " --region=us-central1 --project=acme-ml --role=roles/run.invoker",
    ),
    Plant(
        "dead-letter-not-fillable",
        f"{PUBSUB}/topics/notices-dead:getIamPolicy",
        lambda body: body.pop("bindings"),
        *("dead-letters", "fail", "notices-dead", "Pub/Sub may not publish there"),
        f"gcloud pubsub topics add-iam-policy-binding notices-dead --member={AGENT}"
        " --role=roles/pubsub.publisher --project=acme-ml",
    ),
    Plant(
        "dead-letter-not-takeable",
        f"{PUBSUB}/subscriptions/notices-notify:getIamPolicy",
        lambda body: body.update(bindings=[]),
        *("dead-letters", "fail", "notices-notify", "Pub/Sub may not take from it"),
        f"gcloud pubsub subscriptions add-iam-policy-binding notices-notify --member={AGENT}"
        " --role=roles/pubsub.subscriber --project=acme-ml",
    ),
    Plant(
        "alerts-cannot-be-published",
        f"{PUBSUB}/topics/alert-fired:getIamPolicy",
        unbound(MONITORING),
        *("alert-publisher", "fail", "alert-fired", "alerts are not heard"),
        f"gcloud pubsub topics add-iam-policy-binding alert-fired --member={MONITORING}"
        " --role=roles/pubsub.publisher --project=acme-ml",
    ),
    Plant(
        "agent-lost-its-role",
        PROJECT_POLICY,
        unbound(AGENT),
        *("service-agents", "fail", AGENT, "Google's agent does not hold roles/pubsub.serviceAgent"),
        f"gcloud projects add-iam-policy-binding acme-ml --member={AGENT} --role=roles/pubsub.serviceAgent",
    ),
    Plant(
        "trigger-missing",
        TRIGGERS,
        without("triggers", "/pointsman-v1-modelservice-uploadmodel"),
        *("triggers", "fail", "google.cloud.aiplatform.v1.ModelService.UploadModel", "no trigger listens for it"),
        APPLY,
    ),
    Plant(
        "trigger-in-error",
        TRIGGERS,
        lambda body: named(body, "triggers", "-ui-modelservice-copymodel").update(
            conditions={"transport": {"code": "NOT_FOUND", "message": "its topic is gone"}}
        ),
        *("triggers", "fail", "pointsman-ui-modelservice-copymodel", "NOT_FOUND: its topic is gone"),
        "gcloud eventarc triggers describe pointsman-ui-modelservice-copymodel --location=us-central1",
    ),
    Plant(
        "trigger-without-its-subscription",
        f"{PUBSUB}/subscriptions",
        without("subscriptions", "/eventarc-us-central1-pointsman-v1-modelservice-copymodel-sub-001"),
        *("triggers", "fail", "pointsman-v1-modelservice-copymodel", "its own subscription is gone"),
        "gcloud eventarc triggers describe pointsman-v1-modelservice-copymodel --location=us-central1",
    ),
    Plant(
        "trigger-leads-elsewhere",
        TRIGGERS,
        lambda body: named(body, "triggers", "-ui-modelservice-uploadmodel")["destination"]["cloudRun"].update(
            service="old"
        ),
        *("triggers", "fail", "pointsman-ui-modelservice-uploadmodel", "it leads to old"),
        APPLY,
    ),
    Plant(
        "schedule-missing",
        JOBS,
        lambda body: body.pop("jobs"),
        *("schedule", "fail", "pointsman-sweep", "no job calls it"),
        APPLY,
    ),
    Plant(
        "schedule-paused",
        JOBS,
        lambda body: body["jobs"][0].update(state="PAUSED"),
        *("schedule", "fail", "pointsman-sweep", "its job is PAUSED"),
        "gcloud scheduler jobs resume pointsman-sweep --location=us-central1 --project=acme-ml",
    ),
    Plant(
        "schedule-rare",
        JOBS,
        lambda body: body["jobs"][0].update(schedule="0 * * * *"),
        *("schedule", "fail", "pointsman-sweep", "its job comes at 0 * * * *"),
        "gcloud scheduler jobs update http pointsman-sweep --location=us-central1 --project=acme-ml"
        " --schedule='* * * * *'",
    ),
    Plant(
        "schedule-without-identity",
        JOBS,
        lambda body: body["jobs"][0]["httpTarget"].pop("oidcToken"),
        *("schedule", "fail", "pointsman-sweep", "without the scheduler's identity"),
        "gcloud scheduler jobs update http pointsman-sweep --location=us-central1 --project=acme-ml"
        f" --oidc-service-account-email={account('scheduler')}",
    ),
    Plant(
        "schedule-fails",
        JOBS,
        lambda body: body["jobs"][0].update(status={"code": 13}),
        *("schedule", "warn", "pointsman-sweep", "its last run failed with code 13"),
        "gcloud functions logs read pointsman-sweep --region=us-central1 --project=acme-ml",
    ),
    # --- what is kept, and who warns
    Plant(
        "secret-without-a-version",
        f"secretmanager.googleapis.com/v1/projects/{PROJECT}/secrets/pointsman-slack/versions",
        lambda body: body.pop("versions"),
        *("secrets", "fail", "pointsman-slack", "it has no enabled version"),
        "gcloud secrets versions add pointsman-slack --data-file=- --project=acme-ml",
    ),
    Plant(
        "database-in-datastore-mode",
        DATABASE,
        lambda body: body.update(type="DATASTORE_MODE"),
        *("database", "fail", "pointsman", "it is of type DATASTORE_MODE"),
        "gcloud firestore databases delete --database=pointsman --project=acme-ml",
    ),
    Plant(
        "database-without-recovery",
        DATABASE,
        lambda body: body.update(pointInTimeRecoveryEnablement="POINT_IN_TIME_RECOVERY_DISABLED"),
        *("database", "warn", "pointsman", "it cannot be read as it was an hour ago"),
        "gcloud firestore databases update --database=pointsman --project=acme-ml --enable-pitr",
    ),
    Plant(
        "database-deletable",
        DATABASE,
        lambda body: body.update(deleteProtectionState="DELETE_PROTECTION_DISABLED"),
        *("database", "warn", "pointsman", "it may be deleted by mistake"),
        "gcloud firestore databases update --database=pointsman --project=acme-ml --delete-protection",
    ),
    Plant(
        "ledger-never-forgets",
        f"{DATABASE}/collectionGroups/events/fields/expires_at",
        lambda body: body.pop("ttlConfig"),
        *("database-expiry", "fail", "events.expires_at", "its TTL policy is not there"),
        "gcloud firestore fields ttls update expires_at --collection-group=events --enable-ttl"
        " --database=pointsman --project=acme-ml",
    ),
    Plant(
        "ledger-not-backed-up",
        f"{DATABASE}/backupSchedules",
        lambda body: body.pop("backupSchedules"),
        *("database-backups", "fail", "pointsman", "nothing backs it up"),
        "gcloud firestore backups schedules create --database=pointsman --recurrence=daily --retention=7d"
        " --project=acme-ml",
    ),
    Plant(
        "channel-disabled",
        CHANNELS,
        lambda body: body["notificationChannels"][0].update(enabled=False),
        *("notification-channel", "fail", "4242", "it is disabled"),
        "gcloud beta monitoring channels update projects/acme-ml/notificationChannels/4242 --enabled --project=acme-ml",
    ),
    Plant(
        "channel-unverified",
        CHANNELS,
        lambda body: body["notificationChannels"][0].update(verificationStatus="UNVERIFIED"),
        *("notification-channel", "fail", "4242", "it is not verified"),
        "gcloud beta monitoring channels describe projects/acme-ml/notificationChannels/4242 --project=acme-ml",
    ),
    Plant(
        "alert-policy-disabled",
        POLICIES,
        lambda body: body["alertPolicies"][0].update(enabled=False),
        *("alert-policies", "fail", "pointsman: dead letters", "the alert policy is disabled"),
        "gcloud monitoring policies update projects/acme-ml/alertPolicies/1 --project=acme-ml --enabled",
    ),
    Plant(
        "alert-policy-tells-nobody",
        POLICIES,
        lambda body: body["alertPolicies"][0].pop("notificationChannels"),
        *("alert-policies", "fail", "pointsman: dead letters", "its incidents do not reach on_alert"),
        "gcloud monitoring policies update projects/acme-ml/alertPolicies/1 --project=acme-ml"
        " --add-notification-channels=projects/acme-ml/notificationChannels/4242",
    ),
    Plant(
        "no-alert-policy",
        POLICIES,
        lambda body: body["alertPolicies"].pop(0),
        *("alert-policies", "warn", "alert policies", "there are none of pointsman's"),
        APPLY,
    ),
    Plant(
        "events-given-up",
        f"monitoring.googleapis.com/v3/projects/{PROJECT}/timeSeries",
        lambda body: body["timeSeries"][0]["points"][0]["value"].update(int64Value="3"),
        *("dead-letter-count", "warn", PUSH, "3 events were given up within a day"),
        "gcloud pubsub subscriptions pull repo-pushed-dead --limit=5 --project=acme-ml",
    ),
)
