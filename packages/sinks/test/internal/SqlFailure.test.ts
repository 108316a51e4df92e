import { assert, it } from "@effect/vitest"
import { serverOpenError, serverWriteError, SqlFailure } from "../../src/internal/SqlFailure.ts"

const failure = (code: string, message = "broken") => new SqlFailure({ code, message })

it("keeps the server's code and the innermost message, without the secret", () => {
  const inner = Object.assign(new Error("password \"s3cret\" is wrong"), { code: "28P01" })
  const found = SqlFailure.from(new Error("cannot connect", { cause: inner }), "s3cret")
  assert.deepInclude(found, { code: "28P01", message: "password \"<redacted>\" is wrong" })
  assert.isUndefined(found.cause)
  assert.deepInclude(
    SqlFailure.from(new AggregateError([Object.assign(new Error("x"), { code: "ECONNREFUSED" })]), ""),
    {
      code: "ECONNREFUSED",
      message: "x"
    }
  )
  assert.strictEqual(SqlFailure.from(new Error("Connection timed out"), "").code, "TIMEOUT")
  assert.deepInclude(SqlFailure.from(undefined, ""), { code: "", message: "the connection failed" })
})

it.each([
  ["28P01", "AuthenticationFailed"],
  ["42501", "PermissionDenied"],
  ["57014", "Timeout"],
  ["53100", "DiskFull"],
  ["ECONNREFUSED", "ConnectionRefused"],
  ["3D000", "Unknown"],
  ["", "Unknown"]
])("opening with %j fails with %s", (code, reason) => {
  assert.strictEqual(serverOpenError("PostgresSink", "host", failure(code)).reason, reason)
})

it.each([
  ["23505", "Constraint", false],
  ["22003", "Constraint", false],
  ["42501", "PermissionDenied", false],
  ["55P03", "Timeout", true],
  ["53100", "DiskFull", true],
  ["57014", "Timeout", true],
  ["40001", "Timeout", true],
  ["40P01", "Timeout", true],
  ["53200", "Timeout", true],
  ["53300", "ConnectionLost", true],
  ["57P01", "ConnectionLost", true],
  ["57P02", "ConnectionLost", true],
  ["57P03", "ConnectionLost", true],
  ["25P03", "ConnectionLost", true],
  ["08006", "ConnectionLost", true],
  ["ECONNREFUSED", "ConnectionLost", true],
  ["ECONNRESET", "ConnectionLost", true],
  ["42P01", "Unknown", false],
  ["42601", "Unknown", false]
])("writing with %j fails with %s", (code, reason, isRetryable) => {
  const error = serverWriteError("PostgresSink", "host", 2, failure(code))
  assert.deepInclude(error, { samples: 2, reason } as object)
  assert.strictEqual(error.isRetryable, isRetryable)
})

it.each([
  ["42501", "permission denied for schema lab", "ask the owner of the table for this permission"],
  ["25006", "cannot execute INSERT in a read-only transaction", "record to a database that takes writes"],
  ["55P03", "database is locked", "end the program that has locked it"]
])("writing with %j says %j, and the next step", (code, message, step) => {
  assert.strictEqual(serverWriteError("SqlSink", "host", 2, failure(code, message)).detail, `${message}; ${step}`)
})

it("says that there are too many open files", () => {
  const refused = failure("EMFILE", "connect EMFILE 127.0.0.1:5432")
  assert.include(serverOpenError("PostgresSink", "host", refused).detail, "too many open files")
  assert.include(serverWriteError("PostgresSink", "host", 2, refused).detail, "too many open files")
})
