"""AWS's Signature Version 4 for requests of a load test, by AWS's own library."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from serving.errors import ConfigurationError

if TYPE_CHECKING:
    from serving.bench.target import Sign

SERVICE = "sagemaker"


def signer(region: str, environment: Mapping[str, str]) -> "Sign":
    """What signs requests for SageMaker in a region, with the credentials that AWS's clients find.

    Raises:
        ConfigurationError: botocore is not installed, or finds no credentials.
    """
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import Session
    except ImportError as error:
        raise ConfigurationError(
            "To sign requests, botocore is needed: pip install boto3."
        ) from error
    credentials = Session(profile=environment.get("AWS_PROFILE")).get_credentials()
    if credentials is None:
        raise ConfigurationError(
            "To sign requests, credentials are needed, as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY or in AWS's files."
        )
    auth = SigV4Auth(credentials, SERVICE, region)

    def sign(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        request = AWSRequest(method, url, headers=dict(headers), data=body)
        auth.add_auth(request)
        return {name: value for name, value in request.headers.items() if name not in headers}

    return sign
