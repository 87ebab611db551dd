import { register } from 'node:module'

/** As a module to --import: the package named by WITHOUT_PACKAGE cannot be found, as if it had never been installed. */
register(`data:text/javascript,${encodeURIComponent(`
  const missing = ${JSON.stringify(process.env['WITHOUT_PACKAGE'])}
  export function resolve(specifier, context, next) {
    if (specifier !== missing) return next(specifier, context)
    throw Object.assign(new Error("Cannot find package '" + missing + "' imported from " + context.parentURL), { code: 'ERR_MODULE_NOT_FOUND' })
  }`)}`)
