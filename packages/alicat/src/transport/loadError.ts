/**
 * Why an optional package could not be loaded. Only a missing package is reported as not installed.
 */
import { messageOf, SourceDependencyError, SourceOpenError } from "@sampleline/core"
import * as fs from "node:fs"

/** The error for `target`, which needs the package. */
export const toLoadError = (
  cause: unknown,
  { missing, needed, target }: { readonly target: string; readonly needed: string; readonly missing: string }
): SourceOpenError | SourceDependencyError => {
  const reason = isMissing(cause) ? openFailure() : cause
  return reason === null
    ? new SourceDependencyError({ needed, missing, install: `npm install ${missing}` })
    : new SourceOpenError({
      target,
      reason: "Unknown",
      detail: `the package ${missing} cannot be loaded: ${messageOf(reason)}`,
      cause: reason
    })
}

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error
  && (("code" in cause && /^(?:ERR_)?MODULE_NOT_FOUND$/.test(String(cause.code))) || isMissing(cause.cause))

/** A process that cannot open any more files finds no package. */
const openFailure = (): unknown => {
  try {
    fs.closeSync(fs.openSync(process.execPath, "r"))
    return null
  } catch (cause) {
    return cause
  }
}
