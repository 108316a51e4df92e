/**
 * What went wrong with a database server, from any driver: the server's error code and its message. Nothing else of a driver's
 * error is kept, because it may hold the password.
 */
import { SinkOpenError, SinkWriteError } from "@sampleline/core"
import { Data } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import { TOO_MANY_FILES } from "./FileFailure.ts"

export class SqlFailure extends Data.TaggedError("SqlFailure")<{
  readonly message: string
  /** The server's SQLSTATE, the system's code such as `ECONNREFUSED`, `TIMEOUT`, or empty. */
  readonly code: string
}> {
  /** From any error of a driver. `secret` is removed from its message. */
  static from(cause: unknown, secret: string): SqlFailure {
    if (cause instanceof SqlFailure) return cause
    const chain = causesOf(cause)
    const message = chain.map((error) => error["message"]).findLast((text) => typeof text === "string" && text !== "")
    const text = typeof message === "string" ? message : "the connection failed"
    const code = sqlState(chain) ?? (/timed? ?out/i.test(text) ? "TIMEOUT" : undefined)
      ?? chain.map((error) => String(error["code"])).find(isTls) ?? codeOfReason(cause)
      ?? chain.map((error) => error["code"]).find((code) => typeof code === "string" && code !== "")
    return new SqlFailure({
      message: secret === "" ? text : text.replaceAll(secret, "<redacted>"),
      code: typeof code === "string" ? code : ""
    })
  }
}

/** An error and its causes, the outermost first. */
const causesOf = (cause: unknown): ReadonlyArray<{ readonly [key: string]: unknown }> => {
  const chain: Array<{ readonly [key: string]: unknown }> = []
  let at: unknown = cause
  while (typeof at === "object" && at !== null && chain.length < 8) {
    const error = at as { readonly [key: string]: unknown }
    chain.push(error)
    const several = error["errors"]
    at = Array.isArray(several) ? several[0] : error["cause"]
  }
  return chain
}

const sqlState = (chain: ReadonlyArray<{ readonly [key: string]: unknown }>): string | undefined =>
  chain.map((error) => String(error["code"])).find((code) => /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code))

/** The SQLSTATE for an error of an `effect/sql` client of another database. */
const codeOfReason = (cause: unknown): string | undefined => {
  if (!isSqlError(cause)) return undefined
  const { reason } = cause
  if (reason._tag === "UnknownError") {
    const found = causesOf(reason.cause).map(({ code, errcode }) => DRIVER_CODES[String(code)] ?? sqliteState(errcode))
    return found.find((state) => state !== undefined)
  }
  return REASONS[reason._tag]
}

const DRIVER_CODES: { readonly [code: string]: string } = { ER_DISK_FULL: "53100" }

/** The kind of an SQLite result code is in its lowest eight bits. */
const sqliteState = (errcode: unknown): string | undefined =>
  typeof errcode === "number" ? SQLITE_CODES[errcode & 0xff] : undefined

const SQLITE_CODES: { readonly [code: number]: string } = {
  5: "55P03",
  6: "55P03",
  8: "25006",
  13: "53100",
  19: "23000"
}

const REASONS: { readonly [reason: string]: string } = {
  ConnectionError: "08000",
  AuthenticationError: "28000",
  AuthorizationError: "42501",
  ConstraintError: "23000",
  UniqueViolation: "23505",
  DeadlockError: "40P01",
  SerializationError: "40001",
  LockTimeoutError: "55P03",
  StatementTimeoutError: "57014"
}

/** Classes and codes are listed in appendix A of the Postgres manual. */
const isLost = (code: string) =>
  /^(?:08|57P0|53300|25P0[34]|E(?:CONN|PIPE|HOST|NET|ADDR|NOTFOUND|AI_AGAIN|NOENT))/.test(code)
const isTimeout = (code: string) => /^(?:57014|55P03|TIMEOUT|ETIMEDOUT)$/.test(code)
/** Another transaction was in the way, or the server was short of memory. */
const isBusy = (code: string) => /^(?:40001|40P01|53000|53200)$/.test(code)
const isExhausted = (code: string) => code === "EMFILE" || code === "ENFILE"
/** Whether the server may take the connection if it is encrypted in another way. */
export const isAboutEncryption = ({ code, message }: SqlFailure): boolean =>
  code === "28000" || isTls(code) || /\b(?:TLS|SSL)\b/i.test(message)
/** The codes of OpenSSL and of Node for certificates and for the handshake. */
const isTls = (code: string) =>
  /^(?:CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_|INVALID_CA)/.test(code)
/** Whether a change of the table may be the cause: a value, a name or a type did not fit. */
export const isAboutTable = ({ code }: SqlFailure): boolean => /^(?:22|42)/.test(code) && code !== "42501"
const isForbidden = (code: string) => code === "42501" || code === "25006"
const permissionStep = (code: string) =>
  code === "42501" ? "ask the owner of the table for this permission" : "record to a database that takes writes"

export const serverOpenError = (sink: string, target: string, failure: SqlFailure): SinkOpenError => {
  const { code, message } = failure
  const fail = (reason: SinkOpenError["reason"], detail: string) =>
    new SinkOpenError({ sink, target, reason, detail, cause: failure })
  if (/unsupported startup parameter/i.test(message)) {
    return fail(
      "Unknown",
      `${message}; leave it out of the URL, the service file and PGOPTIONS, or let the pooler ignore it (ignore_startup_parameters)`
    )
  }
  if (/pg_hba/.test(message)) {
    return fail(
      "AuthenticationFailed",
      `${message}; add an entry to the server's pg_hba.conf, or choose another sslmode`
    )
  }
  if (code.startsWith("28") || /password|SASL/i.test(message)) {
    return fail("AuthenticationFailed", `${message}; check user and password (PGPASSWORD and ~/.pgpass are read too)`)
  }
  if (/support (?:TLS|SSL)/i.test(message)) {
    return fail("Unknown", `${message}; use sslmode=disable, or turn TLS on at the server`)
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return fail("Unknown", `${message}; address the server by a name in its certificate`)
  }
  if (isTls(code)) return fail("Unknown", `${message}; give the certificate to trust the server by as sslrootcert`)
  if (code === "3D000") return fail("Unknown", `${message}; check its name, or make it with CREATE DATABASE`)
  if (isForbidden(code)) return fail("PermissionDenied", `${message}; ${permissionStep(code)}`)
  if (isTimeout(code)) {
    return fail("Timeout", "the server does not answer; check host and port, or raise connectTimeout")
  }
  if (code === "53100") return fail("DiskFull", "the server's disk is full; make room there")
  if (isExhausted(code)) return fail("Unknown", TOO_MANY_FILES)
  if (isLost(code)) {
    return fail("ConnectionRefused", `${message}; check that the server runs there and accepts connections`)
  }
  return fail("Unknown", message)
}

export const serverWriteError = (
  sink: string,
  target: string,
  samples: number,
  failure: SqlFailure
): SinkWriteError => {
  const { code, message } = failure
  const fail = (reason: SinkWriteError["reason"], detail: string) =>
    new SinkWriteError({ sink, target, samples, reason, detail, cause: failure })
  if (code === "53100") return fail("DiskFull", `the server's disk is full: ${message}`)
  if (isExhausted(code)) return fail("Unknown", TOO_MANY_FILES)
  if (isForbidden(code)) return fail("PermissionDenied", `${message}; ${permissionStep(code)}`)
  if (code === "55P03") return fail("Timeout", `${message}; end the program that has locked it`)
  if (isTimeout(code) || isBusy(code)) return fail("Timeout", message)
  if (/^2[23]/.test(code)) return fail("Constraint", message)
  if (isLost(code) || (code === "" && /terminated|closed|ended|not queryable/i.test(message))) {
    return fail("ConnectionLost", `the connection was lost: ${message}`)
  }
  return fail("Unknown", message)
}
