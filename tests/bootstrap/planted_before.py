"""Faults of a project before anything is deployed: rights, organization policies, the cluster."""

from tests.bootstrap.planting import (
    ALLOW,
    APIS,
    DNS,
    GKE,
    LIFT,
    MORE,
    NO_IAM,
    NUMBER,
    PROJECT_POLICY,
    RBAC,
    UPDATE_CLUSTER,
    Plant,
    allowed,
    constraint,
    denied,
    enforced,
)
from tests.bootstrap.recorded import CLUSTER, LOCATION, PROJECT

__all__ = ["PLANTS"]

PLANTS = (
    # --- the project
    Plant(
        "api-off",
        APIS,
        lambda body: body["services"][2].update(state="DISABLED"),
        *("apis", "fail", "cloudfunctions.googleapis.com", "the API is off"),
        "gcloud services enable cloudfunctions.googleapis.com --project=acme-ml",
    ),
    Plant(
        "caller-lacks-a-right",
        f"POST cloudresourcemanager.googleapis.com/v3/projects/{PROJECT}:testIamPermissions",
        lambda body: body["permissions"].remove("iam.roles.create"),
        *("caller", "warn", "iam.roles.create", "apply would stop half-way"),
        'gcloud projects add-iam-policy-binding acme-ml --member="user:$(gcloud config get account)"'
        " --role=roles/iam.roleAdmin",
    ),
    Plant(
        "no-billing",
        f"cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo",
        lambda body: body.update(billingEnabled=False),
        *("billing", "fail", "acme-ml", "no billing account pays for it"),
        "gcloud billing projects link acme-ml --billing-account=ACCOUNT",
    ),
    # --- organization policies
    Plant(
        "domain-restricted-sharing",
        constraint("iam.allowedPolicyMemberDomains"),
        allowed("is:C03xgje4y"),
        *("public-access", "fail", "iam.allowedPolicyMemberDomains", "apply with `public_receiver = false`"),
        NO_IAM,
    ),
    Plant(
        "managed-members",
        constraint("iam.managed.allowedPolicyMembers"),
        enforced,
        *("public-access", "fail", "iam.managed.allowedPolicyMembers", "allUsers may be no member"),
        NO_IAM,
    ),
    Plant(
        "invoker-iam-required",
        constraint("run.managed.requireInvokerIam"),
        enforced,
        *("public-access", "fail", "run.managed.requireInvokerIam", "not be public by any means"),
        f"{LIFT} run.managed.requireInvokerIam --project=acme-ml",
    ),
    Plant(
        "functions-ingress-restricted",
        constraint("cloudfunctions.allowedIngressSettings"),
        allowed("ALLOW_INTERNAL_ONLY"),
        *("ingress", "fail", "cloudfunctions.allowedIngressSettings", "webhooks come from outside"),
        f"{ALLOW} cloudfunctions.allowedIngressSettings ALLOW_ALL --project=acme-ml",
    ),
    Plant(
        "run-ingress-restricted",
        constraint("run.allowedIngress"),
        allowed("internal", "internal-and-cloud-load-balancing"),
        *("ingress", "fail", "run.allowedIngress", "webhooks come from outside"),
        f"{ALLOW} run.allowedIngress all --project=acme-ml",
    ),
    Plant(
        "connector-required",
        constraint("cloudfunctions.requireVPCConnector"),
        enforced,
        *("egress", "fail", "cloudfunctions.requireVPCConnector", "must have a VPC connector"),
        f"{LIFT} cloudfunctions.requireVPCConnector --project=acme-ml",
    ),
    Plant(
        "egress-by-vpc",
        constraint("run.allowedVPCEgress"),
        allowed("all-traffic"),
        *("egress", "fail", "run.allowedVPCEgress", "all traffic must leave by a VPC"),
        f"{ALLOW} run.allowedVPCEgress private-ranges-only --project=acme-ml",
    ),
    Plant(
        "no-accounts-may-be-made",
        constraint("iam.disableServiceAccountCreation"),
        enforced,
        *("restrictions", "fail", "iam.disableServiceAccountCreation", "no service account may be made"),
        f"{LIFT} iam.disableServiceAccountCreation --project=acme-ml",
    ),
    Plant(
        "region-not-allowed",
        constraint("gcp.resourceLocations"),
        allowed("in:eu-locations"),
        *("restrictions", "fail", "gcp.resourceLocations", "us-central1 is not among in:eu-locations"),
        f"{ALLOW} gcp.resourceLocations in:us-central1-locations --project=acme-ml",
    ),
    Plant(
        "service-forbidden",
        constraint("gcp.restrictServiceUsage"),
        denied("workflows.googleapis.com"),
        *("restrictions", "fail", "workflows.googleapis.com", "gcp.restrictServiceUsage forbids its use"),
        f"{ALLOW} gcp.restrictServiceUsage workflows.googleapis.com --project=acme-ml",
    ),
    Plant(
        "customer-keys-wanted",
        constraint("gcp.restrictNonCmekServices"),
        denied("is:pubsub.googleapis.com", "compute.googleapis.com"),
        *("restrictions", "fail", "pubsub.googleapis.com", "wants a customer's key"),
        "gcloud resource-manager org-policies delete gcp.restrictNonCmekServices --project=acme-ml",
    ),
    Plant(
        "default-account-edits",
        PROJECT_POLICY,
        lambda body: body["bindings"].append(
            {
                "role": "roles/editor",
                "members": [f"serviceAccount:{NUMBER}-compute@developer.gserviceaccount.com"],
            }
        ),
        *("default-account", "warn", f"{NUMBER}-compute@developer.gserviceaccount.com", "may edit the whole project"),
        f"gcloud projects remove-iam-policy-binding acme-ml"
        f" --member=serviceAccount:{NUMBER}-compute@developer.gserviceaccount.com --role=roles/editor",
    ),
    # --- the cluster
    Plant(
        "cluster-in-error",
        GKE,
        lambda body: body.update(status="ERROR"),
        *("cluster", "fail", CLUSTER, "its status is ERROR"),
        "gcloud container operations list --project=acme-ml",
    ),
    Plant(
        "cluster-too-old",
        GKE,
        lambda body: body.update(currentMasterVersion="1.29.8-gke.1031000"),
        *("cluster", "fail", CLUSTER, "version 1.29.8-gke.1031000"),
        "gcloud container clusters upgrade serving --master --location=us-central1 --project=acme-ml",
    ),
    Plant(
        "no-gateway-api",
        GKE,
        lambda body: body["networkConfig"].pop("gatewayApiConfig"),
        *("cluster-features", "fail", "Gateway API", "there are no HTTPRoutes"),
        f"{UPDATE_CLUSTER} --gateway-api=standard",
    ),
    Plant(
        "dns-endpoint-closed",
        GKE,
        lambda body: body["controlPlaneEndpointsConfig"]["dnsEndpointConfig"].update(allowExternalTraffic=False),
        *("cluster-features", "fail", "DNS endpoint", "cannot reach the control plane"),
        f"{UPDATE_CLUSTER} --enable-dns-access",
    ),
    Plant(
        "no-managed-prometheus",
        GKE,
        lambda body: body.pop("monitoringConfig"),
        *("cluster-features", "fail", "Managed Prometheus", "the judge reads no pod"),
        f"{UPDATE_CLUSTER} --enable-managed-prometheus",
    ),
    Plant(
        "no-workload-identity",
        GKE,
        lambda body: body.update(workloadIdentityConfig={}),
        *("cluster-features", "fail", "Workload Identity", "models share the nodes' identity"),
        f"{UPDATE_CLUSTER} --workload-pool=acme-ml.svc.id.goog",
    ),
    Plant(
        "kind-not-known",
        f"{DNS}/apis/networking.gke.io/v1",
        lambda body: body["resources"].pop(),
        *("cluster-apis", "fail", "networking.gke.io/v1", "does not know healthcheckpolicies"),
        f"{UPDATE_CLUSTER} --gateway-api=standard",
    ),
    Plant(
        "rbac-not-applied",
        f"{DNS}/apis/rbac.authorization.k8s.io/v1/rolebindings",
        lambda body: body.update(items=[]),
        *("cluster-rbac", "fail", "RoleBindings", "none of pointsman's"),
        RBAC,
    ),
    Plant(
        "rbac-of-an-older-release",
        f"POST {DNS}/apis/authorization.k8s.io/v1/subjectaccessreviews",
        lambda body: body.update(denied=[["nlp", "httproutes", "patch"], ["nlp", "events", "list"]]),
        *("cluster-rbac", "fail", "namespace nlp", "may not list events, patch httproutes"),
        RBAC,
    ),
    Plant(
        "rbac-not-of-the-gateway",
        f"{DNS}/apis/rbac.authorization.k8s.io/v1/rolebindings",
        lambda body: body["items"].pop(),
        *("cluster-rbac", "fail", "the Gateway's namespace", "no RoleBinding"),
        RBAC,
    ),
    Plant(
        "nodes-without-secure-boot",
        constraint("compute.requireShieldedVm"),
        enforced,
        *("nodes", "fail", "node pool l4", "compute.requireShieldedVm refuses nodes without secure boot"),
        "gcloud container node-pools create l4-secure --cluster=serving --location=us-central1 --project=acme-ml"
        " --shielded-secure-boot",
        also=((GKE, lambda body: body["nodePools"][1]["config"].pop("shieldedInstanceConfig")),),
    ),
    Plant(
        "nodes-with-addresses",
        constraint("compute.vmExternalIpAccess"),
        lambda body: body["spec"].update(rules=[{"denyAll": True}]),
        *("nodes", "fail", CLUSTER, "compute.vmExternalIpAccess refuses external addresses"),
        f"{UPDATE_CLUSTER} --enable-private-nodes",
        also=((GKE, lambda body: body["networkConfig"].pop("defaultEnablePrivateNodes")),),
    ),
    Plant(
        "no-gpu-quota-anywhere",
        f"compute.googleapis.com/compute/v1/projects/{PROJECT}",
        lambda body: body["quotas"][0].update(limit=0.0),
        *("accelerator-quota", "fail", "GPUS_ALL_REGIONS", "no GPU anywhere"),
        f"{MORE}GPUS-ALL-REGIONS-per-project --preferred-value=8 --project=acme-ml",
    ),
    Plant(
        "no-gpu-quota-in-the-region",
        f"compute.googleapis.com/compute/v1/projects/{PROJECT}/regions/{LOCATION}",
        lambda body: body["quotas"][0].update(limit=0.0),
        *("accelerator-quota", "fail", "NVIDIA_L4_GPUS in us-central1", "its limit is 0"),
        f"{MORE}NVIDIA-L4-GPUS-per-project-region --dimensions=region=us-central1 --preferred-value=8"
        " --project=acme-ml",
    ),
    Plant(
        "accelerator-not-in-the-zone",
        f"compute.googleapis.com/compute/v1/projects/{PROJECT}/zones/{LOCATION}-a/acceleratorTypes",
        lambda body: body["items"].pop(0),
        *("accelerator-zones", "fail", "nvidia-l4 in us-central1-a", "there is none in this zone"),
        "gcloud compute accelerator-types list --filter=name=nvidia-l4 --project=acme-ml",
    ),
)
