/** What a cookie is known to be for, by its name alone. */
export type KnownUse = 'session' | 'csrf' | 'remember' | 'analytics' | 'balancer' | 'preference'

export interface KnownCookie {
  readonly names: RegExp
  /** Where the name differs from site to site or user to user: what a rule says instead. */
  readonly pattern?: string
  readonly use: KnownUse
  /** Completes "the ... of ". */
  readonly whose: string
}

/** The first that fits counts. */
const KNOWN: readonly KnownCookie[] = [
  { names: /^connect\.sid$/, use: 'session', whose: 'Express' },
  { names: /^PHPSESSID$/, use: 'session', whose: 'PHP' },
  { names: /^JSESSIONID$/, use: 'session', whose: 'Java servlets' },
  { names: /^sessionid$/, use: 'session', whose: 'Django' },
  { names: /^ASP\.NET_SessionId$/, use: 'session', whose: 'ASP.NET' },
  { names: /^\.AspNetCore\.(Session|Identity\.|Cookies)/, use: 'session', whose: 'ASP.NET Core' },
  { names: /^laravel_session$/, use: 'session', whose: 'Laravel' },
  { names: /^ci_session$/, use: 'session', whose: 'CodeIgniter' },
  { names: /^_[a-z0-9_]+_session$/, use: 'session', whose: 'Rails' },
  { names: /^rack\.session$/, use: 'session', whose: 'Rack' },
  { names: /^wordpress_logged_in_/, pattern: 'wordpress_logged_in_*', use: 'session', whose: 'WordPress' },
  { names: /^wordpress_sec_/, pattern: 'wordpress_sec_*', use: 'session', whose: 'WordPress' },
  { names: /^wordpress_[0-9a-f]{32}$/, pattern: 'wordpress_*', use: 'session', whose: 'WordPress' },
  { names: /^wp-settings-/, pattern: 'wp-settings-*', use: 'preference', whose: 'WordPress, whose scripts write it' },
  { names: /^wp-postpass_/, pattern: 'wp-postpass_*', use: 'remember', whose: 'WordPress' },
  { names: /^(remember[-_]?(me|token|user_token)?|rememberme|remember_.*|auto_?login|stay_?logged_?in|persistent_?login)$/i, use: 'remember', whose: 'many frameworks' },
  { names: /csrf|xsrf|^__RequestVerificationToken|^\.AspNetCore\.Antiforgery/i, use: 'csrf', whose: 'many frameworks' },
  { names: /^_ga(_|$)/, pattern: '_ga*', use: 'analytics', whose: 'Google Analytics' },
  { names: /^_gat/, pattern: '_gat*', use: 'analytics', whose: 'Google Analytics' },
  { names: /^_gid$/, use: 'analytics', whose: 'Google Analytics' },
  { names: /^__utm/, pattern: '__utm*', use: 'analytics', whose: 'Google Analytics' },
  { names: /^_gcl_/, pattern: '_gcl_*', use: 'analytics', whose: 'Google Ads' },
  { names: /^_fb[pc]$/, use: 'analytics', whose: 'Meta' },
  { names: /^_hj/, pattern: '_hj*', use: 'analytics', whose: 'Hotjar' },
  { names: /^_pk_/, pattern: '_pk_*', use: 'analytics', whose: 'Matomo' },
  { names: /^_cl(ck|sk)$/, use: 'analytics', whose: 'Microsoft Clarity' },
  { names: /^_uet(sid|vid)$/, use: 'analytics', whose: 'Microsoft Ads' },
  { names: /^_ym_/, pattern: '_ym_*', use: 'analytics', whose: 'Yandex Metrica' },
  { names: /^(ajs_|mp_|amplitude_|AMP_)/, use: 'analytics', whose: 'Segment, Mixpanel or Amplitude' },
  { names: /^(hubspotutk|__hs(tc|sc|src))$/, use: 'analytics', whose: 'HubSpot' },
  { names: /^(AWSALB|AWSALBCORS|AWSALBTG|AWSALBTGCORS|SERVERID|ROUTEID|INGRESSCOOKIE|ARRAffinity|ARRAffinitySameSite)$/, use: 'balancer', whose: 'a load balancer' },
  { names: /^BIGipServer/, pattern: 'BIGipServer*', use: 'balancer', whose: 'a load balancer' },
]

export function knownCookie(name: string): KnownCookie | undefined {
  return KNOWN.find(({ names }) => names.test(name))
}
