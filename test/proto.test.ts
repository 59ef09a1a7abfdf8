import { spawnSync } from "node:child_process"
import { type DescField, type DescFile, type DescMessage, ScalarType } from "@bufbuild/protobuf"
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js"
import { suite } from "uvu"
