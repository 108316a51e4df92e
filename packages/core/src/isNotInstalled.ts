/**
 * Whether an optional package is missing.
 */

/**
 * Whether the error of `import` or `require` says that there is no such package, or that one of its own is missing. A process that
 * cannot open any more files gets this error too.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isNotInstalled = (cause: unknown): boolean =>
  cause instanceof Error
  && (("code" in cause && /^(?:ERR_)?MODULE_NOT_FOUND$/.test(String(cause.code))) || isNotInstalled(cause.cause))
