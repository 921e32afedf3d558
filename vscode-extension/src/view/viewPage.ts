export interface PageParts {
  readonly scriptUri: string;
  readonly styleUri: string;
  /** `webview.cspSource` */
  readonly cspSource: string;
  /** Base 64; new for each page. */
  readonly nonce: string;
  readonly locale: string;
  readonly title: string;
}

/** The view's page: empty, it asks for what it shows. It can load nothing but the two bundles, and connect to nothing. */
export function makeViewPage({ scriptUri, styleUri, cspSource, nonce, locale, title }: PageParts): string {
  const policy = [
    "default-src 'none'",
    `style-src ${cspSource}`,
    `script-src 'nonce-${nonce}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="${escapeHtml(locale)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${escapeHtml(styleUri)}">
<title>${escapeHtml(title)}</title>
</head>
<body>
<script nonce="${escapeHtml(nonce)}" src="${escapeHtml(scriptUri)}"></script>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? character);
}
