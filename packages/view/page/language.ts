/**
 * A browser may have a language that `Intl` refuses, such as `en-US@posix`. uPlot fails to load there, so this is imported before it.
 */
try {
  Intl.getCanonicalLocales(navigator.language)
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US", configurable: true })
}
