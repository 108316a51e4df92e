/**
 * A recording, seen while it goes on.
 */
export {}
