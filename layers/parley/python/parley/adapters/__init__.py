"""The ports made real. The only place that knows boto3, PynamoDB and files of models."""
