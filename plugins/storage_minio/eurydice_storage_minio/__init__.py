"""Any S3-compatible object store (MinIO, SeaweedFS, Ceph, AWS), through s3fs."""
