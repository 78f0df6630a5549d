import { FieldReader } from "./FieldReader.ts"
import type { Dialect, ProcessInfo, RegisterFrame, ReRegisterFrame } from "./Frames.ts"
import { scanObject } from "./JsonScan.ts"
import * as Limits from "./Limits.ts"

const ID = 0xffff_ffff

/** Legacy clients leave out or null what their platform does not tell; v1 clients know better. */
const readProcessInfo = (reader: FieldReader, dialect: Dialect): ProcessInfo => {
  const text = reader.slice("process_info")
  const scan = text === null ? "syntax" : scanObject(text, 0, text.length, 2)
  if (typeof scan === "string") {
    reader.fail("process_info", scan === "duplicate" ? "an object that names no member twice" : "an object")
    return { pid: 0, ppid: 0, uid: 0, gid: 0, hostname: "", start_time: null, executable: null }
  }
  const info = new FieldReader(text!, scan, reader.raw("process_info"), "process_info.")
  const legacy = dialect === "legacy"
  const integer = (key: string) => (legacy ? (info.optionalInteger(key, -ID, ID) ?? 0) : info.integer(key, 0, ID))
  const user = info.optionalString("user", Limits.NAME)
  const node_name = info.optionalString("node_name", Limits.NAME)
  const pod_ip = info.optionalString("pod_ip", Limits.NAME)
  const namespace = info.optionalString("namespace", Limits.NAME)
  const found: ProcessInfo = {
    pid: integer("pid"),
    ppid: integer("ppid"),
    uid: integer("uid"),
    gid: integer("gid"),
    hostname: legacy ? (info.optionalString("hostname", Limits.NAME) ?? "") : info.string("hostname", Limits.NAME),
    start_time: legacy
      ? (info.optionalInteger("start_time", Number.MIN_SAFE_INTEGER) ?? null)
      : info.integer("start_time", 0),
    executable: legacy
      ? (info.optionalString("executable", Limits.PATH) ?? null)
      : info.string("executable", Limits.PATH),
    ...(user === undefined ? {} : { user }),
    ...(node_name === undefined ? {} : { node_name }),
    ...(pod_ip === undefined ? {} : { pod_ip }),
    ...(namespace === undefined ? {} : { namespace })
  }
  reader.problem ??= info.problem
  return found
}

/**
 * What makes a registration of version 1 fresh, and bound to the server that it was meant for. `server_key` may be
 * missing in level `open` only, where the envelope may name none; the session checks that.
 */
const readProof = (reader: FieldReader) => {
  const server_key = reader.optionalKey("server_key")
  return {
    nonce: reader.nonce("nonce"),
    client_nonce: reader.nonce("client_nonce"),
    ...(server_key === undefined ? {} : { server_key })
  }
}

/** What a node takes: in its registration, or later in a frame of its own. */
export const readCapable = (reader: FieldReader) => {
  const cancel_grace_ms = reader.optionalInteger("cancel_grace_ms", 0, Limits.CANCEL_GRACE)
  return {
    capabilities: reader.strings("capabilities", Limits.CAPABILITIES, Limits.NAME),
    ...(cancel_grace_ms === undefined ? {} : { cancel_grace_ms })
  }
}

const readRegisterV1 = (reader: FieldReader) => {
  const info = reader.optionalString("info", Limits.INFO)
  const ping_interval_ms = reader.optionalInteger("ping_interval_ms", 0)
  return {
    ...readProof(reader),
    start_day: reader.integer("start_day", Number.MIN_SAFE_INTEGER),
    ...readCapable(reader),
    ...(info === undefined ? {} : { info }),
    ...(ping_interval_ms === undefined ? {} : { ping_interval_ms })
  }
}

export const readRegister = (reader: FieldReader, dialect: Dialect): RegisterFrame => {
  const legacy = dialect === "legacy"
  return {
    type: "register",
    app_id: reader.uuid("app_id", legacy),
    parent_id: reader.optionalUuid("parent_id", legacy) ?? null,
    app_name: reader.string("app_name", Limits.APP_NAME),
    child_pub_key: legacy ? reader.string("child_pub_key", Limits.LEGACY_KEY) : reader.key("child_pub_key"),
    process_info: readProcessInfo(reader, dialect),
    role_refs: reader.strings("role_refs", Limits.ROLE_REFS, Limits.NAME),
    ...(legacy ? {} : readRegisterV1(reader))
  }
}

export const readReRegister = (reader: FieldReader, dialect: Dialect): ReRegisterFrame => {
  const legacy = dialect === "legacy"
  return {
    type: "re_register",
    app_id: reader.uuid("app_id", legacy),
    last_seq: reader.integer("last_seq", 0),
    pub_key: legacy ? reader.string("pub_key", Limits.LEGACY_KEY) : reader.key("pub_key"),
    ...(legacy ? {} : { incarnation: reader.integer("incarnation", 1), ...readProof(reader) })
  }
}
