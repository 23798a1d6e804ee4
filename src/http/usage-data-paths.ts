const PREFIXES = ['/usage_data', '/api/v4/usage_data']

/** The paths of a route of the usage data API: Tallyman's own, and GitLab's. */
export const usageDataPaths = (path: string): string[] => PREFIXES.map((prefix) => `${prefix}${path}`)
