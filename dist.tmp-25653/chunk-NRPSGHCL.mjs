import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{a as L}from"./chunk-W2F5AVI3.mjs";import{c as A,d as B,e as M,f as N,h as C}from"./chunk-7IE2WXKO.mjs";import{d as O}from"./chunk-2WW5T2TT.mjs";import{c as R}from"./chunk-CB2W7JHZ.mjs";import{I as P,q as w}from"./chunk-D2C4WQWP.mjs";import{i as k}from"./chunk-YA35I23K.mjs";import{sb as D,y as T}from"./chunk-237K6ZH7.mjs";import{a as G}from"./chunk-LLESNOIY.mjs";import{a as f,b as I,c as x,d as p}from"./chunk-DDU3WEPE.mjs";import{a as E}from"./chunk-OPGFRMKS.mjs";import{a as i,e as g}from"./chunk-C5AMQVWP.mjs";var H=g(E(),1);function j(e){let t;try{t=JSON.parse((0,H.readFileSync)(x(e),"latin1"))}catch(l){throw _(e,"it is no JSON",l)}let n=m(t,e),r=n.structuredAttrs,s=r===void 0?void 0:m(r,e);return{variables:new Map(b(n.variables,e).flatMap(([l,o])=>{let a=Z(m(o,e),e);return a===void 0?[]:[[l,a]]})),functions:new Map(b(n.bashFunctions,e).map(([l,o])=>[l,v(o,e)])),structured:s===void 0?void 0:{json:v(s[".attrs.json"],e),sh:v(s[".attrs.sh"],e)}}}i(j,"readEnvironmentFile");function ie(e){let t=[...e.variables].map(([n,{kind:r,value:s}])=>[n,{type:r,value:s instanceof Map?Object.fromEntries(s):s}]);return JSON.stringify({bashFunctions:Object.fromEntries(e.functions),...e.structured===void 0?{}:{structuredAttrs:{".attrs.json":e.structured.json,".attrs.sh":e.structured.sh}},variables:Object.fromEntries(t)})}i(ie,"environmentJson");function X(e){let t=e.variables.get("outputs")??{kind:"var",value:"out"};if(t.kind==="associative")return new Map(t.value);let n=t.kind==="array"?t.value:t.value.split(/\s+/).filter(r=>r!=="");return new Map(n.flatMap(r=>{let s=e.variables.get(r);return s!==void 0&&(s.kind==="exported"||s.kind==="var")?[[r,s.value]]:[]}))}i(X,"outputPlaces");var z=new Set(["BASHOPTS","HOME","NIX_BUILD_TOP","NIX_ENFORCE_PURITY","NIX_LOG_FD","NIX_REMOTE","PPID","SHELLOPTS","SSL_CERT_FILE","TEMP","TEMPDIR","TERM","TMP","TMPDIR","TZ","UID"]),F=["PATH","XDG_DATA_DIRS"];function q(e){let t=["unset shellHook"];for(let n of F)t.push(`${n}=\${${n}:-}`,`nix_saved_${n}="$${n}"`);for(let[n,r]of e.variables)z.has(n)||t.push(...Y(n,r));for(let[n,r]of e.functions)t.push(`${n} ()`,"{",`${r}}`);for(let n of F)t.push(`${n}="$${n}\${nix_saved_${n}:+:$nix_saved_${n}}"`);t.push('export NIX_BUILD_TOP="$(mktemp -d -t nix-shell.XXXXXX)"');for(let n of["TMP","TMPDIR","TEMP","TEMPDIR"])t.push(`export ${n}="$NIX_BUILD_TOP"`);return t.push('eval "${shellHook:-}"'),`${t.join(`
`)}
`}i(q,"environmentScript");function U(e,t){let n=[...t.keys()].filter(s=>s!=="");if(n.length===0)return e;let r=new RegExp(n.map(s=>s.replace(/[\^$.*+?()[\]{}|/-]/g,"\\$&")).join("|"),"g");return e.replace(r,s=>t.get(s)??s)}i(U,"rewriteText");function h(e){return`'${e.replaceAll("'","'\\''")}'`}i(h,"quoteAlways");function Y(e,t){switch(t.kind){case"var":return[`${e}=${h(t.value)}`];case"exported":return[`${e}=${h(t.value)}`,`export ${e}`];case"array":return[`declare -a ${e}=(${t.value.map(n=>`${h(n)} `).join("")})`];case"associative":{let n=[...t.value].map(([r,s])=>`[${h(r)}]=${h(s)} `);return[`declare -A ${e}=(${n.join("")})`]}}}i(Y,"declaration");function Z(e,t){let{type:n,value:r}=e;switch(n){case"exported":case"var":return{kind:n,value:v(r,t)};case"array":if(!Array.isArray(r))throw _(t,"an array's value is none");return{kind:n,value:r.map(s=>v(s,t))};case"associative":return{kind:n,value:new Map(b(r,t).map(([s,l])=>[s,v(l,t)]))};default:return}}i(Z,"variableOf");function b(e,t){return Object.entries(m(e,t)).toSorted(([n],[r])=>n<r?-1:1)}i(b,"sortedEntries");function m(e,t){if(typeof e!="object"||e===null||Array.isArray(e))throw _(t,"something that is no object stands where one is needed");return e}i(m,"objectOf");function v(e,t){if(typeof e!="string")throw _(t,"something that is no text stands where one is needed");return e}i(v,"textIn");function _(e,t,n){return new p("ENV_FILE_INVALID",`Cannot read the environment "${e}": ${t}`,{hint:"name a derivation, or a file that `nix develop --profile` or `nix print-dev-env` made",cause:n})}i(_,"invalid");var S=g(E(),1),J=g(G(),1);import{join as $,resolve as W}from"node:path";import{posix as K}from"node:path";var V=String.raw`set -e
if [[ -e \${NIX_ATTRS_SH_FILE-} ]]; then source "$NIX_ATTRS_SH_FILE"; fi
export IN_NIX_SHELL=impure dontAddDisableDepTrack=1
if [[ -n \${stdenv-} ]]; then source "$stdenv/setup"; fi
set +u
shopt -u patsub_replacement 2>/dev/null || true
devshell_variables=$(declare -p)
devshell_functions=$(declare -F)

devshell_quote() {
  local LC_ALL=C text=$1 char number escape
  text=\${text//\\/\\\\}
  text=\${text//\"/\\\"}
  text=\${text//$'\n'/\\n}
  text=\${text//$'\r'/\\r}
  text=\${text//$'\t'/\\t}
  if [[ $text == *[$'\x01'-$'\x1f']* ]]; then
    for ((number = 1; number < 32; number++)); do
      printf -v escape '\\x%02x' "$number"
      printf -v char "$escape"
      printf -v escape '\\u%04x' "$number"
      text=\${text//"$char"/"$escape"}
    done
  fi
  printf '"%s"' "$text"
}

devshell_dump_functions() {
  local line name body separator=
  while read -r line; do
    [[ $line =~ ^declare\ -f\ (.*) ]] || continue
    name=\${BASH_REMATCH[1]}
    body=$(declare -f -- "$name")
    body=\${body#*\{}
    printf '%s' "$separator"
    devshell_quote "$name"
    printf ':'
    devshell_quote "\${body%\}*}"
    separator=,
  done <<<"$devshell_functions"
}

devshell_dump_variable() {
  local devshell_attributes=$1 devshell_name=$2 devshell_separator= devshell_item
  case $devshell_attributes in
    -x | --)
      [[ $devshell_attributes == -x ]] && devshell_item=exported || devshell_item=var
      printf '{"type":"%s","value":' "$devshell_item"
      devshell_quote "\${!devshell_name}" ;;
    -a)
      printf '{"type":"array","value":['
      local devshell_items="$devshell_name[@]"
      for devshell_item in "\${!devshell_items}"; do
        printf '%s' "$devshell_separator"
        devshell_quote "$devshell_item"
        devshell_separator=,
      done
      printf ']' ;;
    -A)
      printf '{"type":"associative","value":{'
      local -n devshell_items="$devshell_name"
      for devshell_item in "\${!devshell_items[@]}"; do
        printf '%s' "$devshell_separator"
        devshell_quote "$devshell_item"
        printf ':'
        devshell_quote "\${devshell_items[$devshell_item]}"
        devshell_separator=,
      done
      printf '}' ;;
    *) printf '{"type":"unknown"' ;;
  esac
  printf '}'
}

devshell_dump_variables() {
  local devshell_line devshell_separator= devshell_name
  while read -r devshell_line; do
    [[ $devshell_line =~ ^declare\ (-[^ ])\ ([A-Za-z_][A-Za-z0-9_]*)(=|$) ]] || continue
    devshell_name=\${BASH_REMATCH[2]}
    case $devshell_name in
      BASH_* | COMP_* | _ | DIRSTACK | EUID | FUNCNAME | HISTCMD | HOSTNAME | GROUPS | PIPESTATUS | PWD | RANDOM) continue ;;
      SHLVL | SECONDS | EPOCHREALTIME | EPOCHSECONDS | devshell_variables | devshell_functions) continue ;;
    esac
    printf '%s' "$devshell_separator"
    devshell_quote "$devshell_name"
    printf ':'
    devshell_dump_variable "\${BASH_REMATCH[1]}" "$devshell_name"
    devshell_separator=,
  done <<<"$devshell_variables"
}

devshell_dump() {
  printf '{"bashFunctions":{'
  devshell_dump_functions
  printf '},"variables":{'
  devshell_dump_variables
  printf '}'
  if [[ -e \${NIX_ATTRS_SH_FILE-} ]]; then
    printf ',"structuredAttrs":{".attrs.sh":'
    devshell_quote "$(<"$NIX_ATTRS_SH_FILE")"
    printf ',".attrs.json":'
    devshell_quote "$(<"$NIX_ATTRS_JSON_FILE")"
    printf '}'
  fi
  printf '}\n'
}

devshell_places=()
if [[ -e \${NIX_ATTRS_SH_FILE-} ]]; then
  devshell_places=("\${outputs[@]}")
else
  for devshell_output in \${outputs:-out}; do devshell_places+=("\${!devshell_output}"); done
fi
devshell_dump >"\${devshell_places[0]}"
for devshell_output in "\${devshell_places[@]:1}"; do : >"$devshell_output"; done
exit 0
`.replaceAll("\\${","${");async function y(e,t){let{store:n}=e,r=n.readDerivation(t);if(K.basename(r.builder)!=="bash")throw new p("ENV_BUILDER","'nix develop' only works on derivations that use 'bash' as their builder");let s=T(te(r,n.addText("get-env.sh",V,[])),n.hasher,a=>n.closureOf(a)),l=n.writeDerivation(s),o=await e.tryRealise([{kind:"built",drvPath:l,outputs:"*"}]);D(o);for(let a of n.queryDerivationOutputs(l).values())if(a!==void 0&&n.pathInfo(a).narSizeBytes>Q)return a;throw new p("ENV_SETUP_FAILED","get-env.sh failed to produce an environment")}i(y,"buildEnvironment");var Q=112,ee=["allowedReferences","allowedRequisites","disallowedReferences","disallowedRequisites"];function te(e,t){if(e.dynamicInputs!==void 0&&e.dynamicInputs.size>0)throw new p("CLI_NOT_BUILT",`Cannot make the environment of "${e.name}": inputs that are outputs of outputs are not built yet`);let n=`${e.name}-env`,r=new Map(e.env);for(let o of e.outputs.keys())r.delete(o);let s=r.get("__json");if(s===void 0)for(let o of ee)r.delete(o);else r.set("__json",re(s));r.set("name",n);let l=[...e.inputDrvs].flatMap(([o,a])=>a.map(d=>`!${d}!${o}`));return{name:n,system:e.system,builder:e.builder,args:[t],env:r,outputs:[...e.outputs.keys()],kind:ne(e),context:new Set([...e.inputSrcs,t,...l])}}i(te,"environmentRequest");function ne(e){let[t]=e.outputs.values();return t?.kind==="contentAddressed"||t?.kind==="impure"?{kind:t.kind,algorithm:t.algorithm,method:t.method}:{kind:"inputAddressed"}}i(ne,"kindOf");function re(e){let t=JSON.parse(e);return Object.hasOwn(t,"outputChecks")?(delete t.outputChecks,JSON.stringify(t)):e}i(re,"withoutChecks");function we(e,t,n){let r=[],s=[],l,o=A(),a=O(e,t,(d,u,c)=>{if(c.isLiteral)r.push(d);else{if(n(d,u,c)||B(o,d,u))return!0;if(d==="--profile")l=u();else if(d==="--redirect")s.push([u(),u()]);else{if(d.startsWith("-"))return!1;r.push(d)}}return!0});return a.hasBuildOutput=t.includes("-L")||t.includes("--print-build-logs"),{flags:a,installables:o,words:r,redirects:s,profile:l}}i(we,"parseDevRequest");function Te(e,{flags:t,installables:n}){return M(t,n,{name:e})}i(Te,"openDevContext");async function De(e,t){let{flags:n,installables:r,words:s}=t,l=N(e,n,r,s,P),o=l.all.flatMap(u=>u.targets());l.all.some(({value:u})=>u!==void 0)&&l.evaluation().host.flush();let[a]=o;if(a===void 0||o.length>1)throw new p("ENV_NOT_ONE_DERIVATION",`'${s[0]??"."}' needs to evaluate to a single derivation, but it evaluated to ${o.length} derivations`);let d=await se(e,a);return t.profile!==void 0&&k(e.store,f(W(t.profile)),d),{file:j(f(e.store.realPath(d))),path:d,found:l}}i(De,"openDevEnvironment");async function se(e,t){if(t.kind==="built")return await y(e,t.drvPath);if(t.path.endsWith("-env"))return t.path;if(t.path.endsWith(".drv"))return await y(e,t.path);let{deriver:n}=e.store.pathInfo(t.path);if(n!==void 0)return await y(e,n);throw new p("CLI_NO_DERIVER",`'${I(t.path)}' does not have a known deriver`)}i(se,"environmentPath");function ke(e,t,{file:n}){let r=q(n),s=new Map,l=$(w(),"outputs");for(let[o,a]of X(n))s.set(a,f($(l,o)));for(let[o,a]of t.redirects){let d=C(e,t.flags,t.installables,[o]);for(let[,u]of d.flatMap(c=>L(e,c)))r.includes(u)?s.set(u,f(W(a))):R(`warning: '${o}' (path '${u}') is not used by this build environment`)}if(n.structured!==void 0){let o=(0,S.mkdtempSync)($((0,J.tmpdir)(),"nix-develop-"));for(let[a,d]of Object.entries(n.structured)){let u=$(o,`.attrs.${a}`);(0,S.writeFileSync)(u,d,"latin1");let c=n.variables.get(`NIX_ATTRS_${a.toUpperCase()}_FILE`);(c?.kind==="exported"||c?.kind==="var")&&s.set(c.value,f(u))}}return U(r,s)}i(ke,"devScript");export{ie as a,h as b,we as c,Te as d,De as e,ke as f};
