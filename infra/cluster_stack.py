"""The generator across machines: vLLM on a Ray cluster, for a model that no single machine can hold.

chat, worker ─▶ head :8000   vLLM's OpenAI API; the layers' first stage
                 ├ node 1    the next stage of the pipeline
                 └ node n

SageMaker hosts one copy of a model on one instance and no further, so these are EC2 machines in a network of their own,
close together in one zone. Each layer is divided among the GPUs of a node, which NVLink joins; between nodes travels
only what one stage hands to the next. Of fixed size: a node more or less would be another division of the model.
"""

from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.functions import LOG_RETENTION, Network
from infra.generators import ClusterSize
from infra.nag import accept
from infra.observability import Alarms
from infra.stage import Stage

# AWS's own vLLM for EC2. A tag of one release, so that head and nodes never disagree.
_IMAGE = "public.ecr.aws/deep-learning-containers/vllm:server-cuda-v1.4"
# Ubuntu with NVIDIA's driver and Docker; it mounts the machine's own disks, fast and large, at the place below.
_MACHINE_IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"
_DISKS = "/opt/dlami/nvme"
_ROOT_GB = 200  # the image is tens of GB unpacked; the weights lie on the machine's own disks

_ZONE = "parley.internal"
_HEAD = f"head.{_ZONE}"
_NAME_SECONDS = 30
_API_PORT = 8000
_RAY_PORT = 6379

# It ends when the head is gone, and Docker starts it again until there is a head.
_FOLLOW = f"exec ray start --address={_HEAD}:{_RAY_PORT} --node-ip-address=$VLLM_HOST_IP --block"


@dataclass(frozen=True, slots=True)
class Reach:
    """How functions come to the cluster."""

    url: str
    model: str
    network: Network


class ClusterStack(Stack):
    """The machines of one model, and the network they and the functions that generate are in.

    Attributes:
        reach: where the model answers, and the network to be in
    """

    def __init__(
        self, scope: Construct, id: str, *, stage: Stage, size: ClusterSize, alarms: sns.ITopic, **kwargs: Any
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._size = size
        self._log = logs.LogGroup(
            self, "Log", retention=LOG_RETENTION[stage.log_retention_days], removal_policy=RemovalPolicy.DESTROY
        )
        vpc = self._vpc()
        functions, nodes = self._groups(vpc)
        place = ec2.PlacementGroup(self, "Together", strategy=ec2.PlacementGroupStrategy.CLUSTER)
        role = self._role()

        scripts = {"Head": self._head()} | {f"Node{number}": _FOLLOW for number in range(1, size.nodes)}
        machines = {name: self._node(name, vpc, nodes, place, role, script) for name, script in scripts.items()}
        self._name(vpc, machines["Head"])
        watch = Alarms(self, "Watch", topic=alarms)
        for name, machine in machines.items():
            watch.on_machine(name, machine)
        self.reach = Reach(
            url=f"http://{_HEAD}:{_API_PORT}/v1",
            model=size.model.weights,
            network=Network(vpc, functions),
        )

    def _name(self, vpc: ec2.Vpc, head: ec2.Instance) -> None:
        """Give the head a name that stays when another machine becomes the head."""
        zone = route53.PrivateHostedZone(self, "Names", vpc=vpc, zone_name=_ZONE)
        route53.ARecord(
            self,
            "HeadName",
            zone=zone,
            record_name=_HEAD,
            target=route53.RecordTarget.from_ip_addresses(head.instance_private_ip),
            ttl=Duration.seconds(_NAME_SECONDS),
        )

    def _vpc(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Network",
            max_azs=2,  # functions want two; the nodes are all in the first
            nat_gateways=1,
            restrict_default_security_group=False,  # nothing is in it, and CDK would run a function to empty it
            gateway_endpoints={
                "Tables": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
                "Bundles": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
            },
        )
        vpc.add_flow_log("Flows", destination=ec2.FlowLogDestination.to_cloud_watch_logs(self._log))
        return vpc

    def _groups(self, vpc: ec2.Vpc) -> tuple[ec2.SecurityGroup, ec2.SecurityGroup]:
        """Who functions are, and who nodes are: the former may ask the latter, who talk among themselves.

        Neither Ray nor vLLM asks who is there, so this is what keeps everybody else out.
        """
        functions = ec2.SecurityGroup(self, "Functions", vpc=vpc, description="Functions that generate")
        nodes = ec2.SecurityGroup(self, "Nodes", vpc=vpc, description="Machines that hold the model")
        nodes.add_ingress_rule(functions, ec2.Port.tcp(_API_PORT), "OpenAI's API")
        nodes.add_ingress_rule(nodes, ec2.Port.all_traffic(), "Ray, and NCCL between stages")
        return functions, nodes

    def _role(self) -> iam.Role:
        """What a node may do: log."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
        streams = self.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{self._log.log_group_name}:log-stream:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        iam.Grant.add_to_principal(
            grantee=role, actions=["logs:CreateLogStream", "logs:PutLogEvents"], resource_arns=[streams]
        )
        accept(
            role,
            "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:"
            f"<{self.resolve(self._log.log_group_name)['Ref']}>:log-stream:*]",
            "Each node writes into a stream of its own.",
        )
        return role

    def _node(
        self,
        id: str,
        vpc: ec2.Vpc,
        group: ec2.SecurityGroup,
        place: ec2.PlacementGroup,
        role: iam.Role,
        script: str,
    ) -> ec2.Instance:
        node = ec2.Instance(
            self,
            id,
            instance_type=ec2.InstanceType(self._size.instance_type),
            machine_image=ec2.MachineImage.from_ssm_parameter(_MACHINE_IMAGE, os=ec2.OperatingSystemType.LINUX),
            vpc=vpc,
            availability_zone=vpc.availability_zones[0],
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            security_group=group,
            placement_group=place,
            role=role,
            require_imdsv2=True,
            detailed_monitoring=True,
            ebs_optimized=True,
            block_devices=[
                ec2.BlockDevice(device_name="/dev/sda1", volume=ec2.BlockDeviceVolume.ebs(_ROOT_GB, encrypted=True))
            ],
            user_data=ec2.UserData.custom(self._start(id, script)),
            user_data_causes_replacement=True,
        )
        if self._size.machine_image:
            node.instance.image_id = self._size.machine_image
        accept(node, "AwsSolutions-EC29", "A node holds a copy of public weights, and is made again with the stack.")
        return node

    def _start(self, name: str, script: str) -> str:
        return dedent(f"""\
            #!/bin/bash
            set -euo pipefail
            timeout 300 bash -c 'until mountpoint --quiet {_DISKS}; do sleep 1; done'
            mkdir -p {_DISKS}/huggingface
            cat > /opt/serve.sh <<'SERVE'
            set -eu
            # The image may come without Ray, which vLLM needs for more than one machine only.
            command -v ray >/dev/null || pip install --quiet 'ray[cgraph]==2.49.2'
            {script}
            SERVE
            address=$(ip -4 route get 1.1.1.1 | grep --only-matching --perl-regexp 'src \\K\\S+')
            docker run --detach --name vllm --restart unless-stopped --gpus all --network host --ipc host \\
                --env VLLM_HOST_IP=$address --env HF_HOME=/weights \\
                --volume {_DISKS}/huggingface:/weights --volume /opt/serve.sh:/opt/serve.sh:ro \\
                --log-driver awslogs --log-opt awslogs-region={self.region} \\
                --log-opt awslogs-group={self._log.log_group_name} --log-opt awslogs-stream={name.lower()} \\
                --entrypoint /bin/bash {_IMAGE} /opt/serve.sh
            """)

    def _head(self) -> str:
        size = self._size
        started = f"ray start --head --port={_RAY_PORT} --node-ip-address=$VLLM_HOST_IP --include-dashboard=false"
        counted = "import ray; ray.init(logging_level='error'); print(sum(n['Alive'] for n in ray.nodes()))"
        told = {
            "host": "0.0.0.0",  # noqa: S104  (the security group says who may ask)
            "port": _API_PORT,
            "distributed-executor-backend": "ray",
            "tensor-parallel-size": size.tensor_parallel,
            "pipeline-parallel-size": size.nodes,
            "max-model-len": size.model.context_tokens,
            "max-num-seqs": size.requests_at_once,
        }
        options = " ".join(f"--{name} {value}" for name, value in told.items())
        caching = "--enable-prefix-caching" if size.model.caches_prefixes else "--no-enable-prefix-caching"
        return "; ".join(
            (
                started,
                f'until [ "$(python3 -c "{counted}")" = {size.nodes} ]; do sleep 5; done',
                f"exec vllm serve {size.model.weights} {options} {caching}",
            )
        )
