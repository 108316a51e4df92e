/**
 * The errors of a port or device whose package could not be loaded. Only a missing package is reported as not installed.
 */
import { isNotInstalled, messageOf, SourceDependencyError, SourceOpenError } from "@sampleline/core"
import * as fs from "node:fs"

/** The error for `target`, which needs the package. */
export const toLoadError = (
  cause: unknown,
  { missing, needed, target }: { readonly target: string; readonly needed: string; readonly missing: string }
): SourceOpenError | SourceDependencyError => {
  const reason = isNotInstalled(cause) ? openFailure() : cause
  return reason === null
    ? new SourceDependencyError({ needed, missing, install: `npm install ${missing}` })
    : new SourceOpenError({
      target,
      reason: "Unknown",
      detail: `the package ${missing} cannot be loaded: ${messageOf(reason)}`,
      cause: reason
    })
}

/** A process that cannot open any more files finds no package. */
const openFailure = (): unknown => {
  try {
    fs.closeSync(fs.openSync(process.execPath, "r"))
    return null
  } catch (cause) {
    return cause
  }
}
