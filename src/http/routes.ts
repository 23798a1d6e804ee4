import type { Router } from 'express'

/** A route as it was declared, with the parameters in its path as `:name` or `*name`. */
export type Route = { method: string; path: string }

/** The routes of routers, without duplicates. */
export const routesOf = (routers: readonly Router[]): Route[] => {
  const routes = routers.flatMap(({ stack }) =>
    stack.flatMap(({ route }) =>
      [route?.path ?? []]
        .flat(2)
        .flatMap((path) => (route?.stack ?? []).map(({ method }) => ({ method: method.toUpperCase(), path }))),
    ),
  )
  return [...new Map(routes.map((route) => [`${route.method} ${route.path}`, route])).values()]
}
