import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{a as h}from"./chunk-BAJZD3EJ.mjs";import{a as p}from"./chunk-T4AWGAUI.mjs";import{d as $}from"./chunk-DDU3WEPE.mjs";import"./chunk-CPX2PQK5.mjs";import"./chunk-OX56RONK.mjs";import{a as r}from"./chunk-C5AMQVWP.mjs";function u(n){switch(n){case"bash":return O();case"zsh":return g();case"fish":return v();default:throw new $("CLI_UNKNOWN_SHELL",`Cannot complete in "${n}"`,{hint:"there are bash, zsh and fish"})}}r(u,"renderCompletion");var c=h.filter(n=>n.isHidden!==!0),f=h.filter(n=>n.name==="enter");function d(n){return n.flags.map(o=>p[o])}r(d,"flagsOf");function C(n){return[...d(n).flatMap(o=>[o.long,...o.short===void 0?[]:[o.short]]),"--help"]}r(C,"flagWords");function a(n){return n.arguments[0]?.choices??[]}r(a,"choicesOf");function O(){let n=[...f,...c].map(o=>{let m=d(o).filter(s=>s.values.length>0),t=o.name==="enter"?"''":o.name,e=r(s=>[s.long,...s.short===void 0?[]:[s.short]].join("|"),"word"),l=m.filter(s=>s.completes==="file"||s.completes==="directory").map(e),i=m.filter(s=>s.completes===void 0).map(e);return[`    ${t})`,`      flags='${C(o).join(" ")}'`,`      choices='${a(o).join(" ")}'`,...l.length+i.length===0?[]:["      case $before in",...l.length>0?[`        ${l.join("|")}) COMPREPLY=($(compgen -f -- "$word")); return ;;`]:[],...i.length>0?[`        ${i.join("|")}) return ;;`]:[],"      esac"],"      ;;"].join(`
`)});return`# bash completion of devshell
_devshell() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command='' flags='' choices='' n
  COMPREPLY=()
  case \${COMP_WORDS[1]-} in
    ${c.map(o=>o.name).join("|")}) ((COMP_CWORD > 1)) && command=\${COMP_WORDS[1]} ;;
  esac
  if [[ $command == run ]]; then
    for ((n = 2; n < COMP_CWORD; n++)); do
      if [[ \${COMP_WORDS[n]} == -- ]] && declare -F _command_offset >/dev/null; then
        _command_offset $((n + 1)); return
      fi
    done
  fi
  case $command in
${n.join(`
`)}
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ -n $choices ]] && ((COMP_CWORD == 2)); then
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
    ((COMP_CWORD == 1)) && COMPREPLY+=($(compgen -W '${c.map(o=>o.name).join(" ")}' -- "$word"))
  fi
}
complete -o filenames -F _devshell devshell
`}r(O,"renderBashCompletion");function g(){let n=r(t=>t.replaceAll("'","'\\''").replace(/([[\]:])/g,"\\$1"),"escape"),o=r(t=>[...d(t).map(e=>{let l=e.values.map(s=>`:${s}:${e.completes===void 0?" ":"_files"}`).join(""),i=e.isRepeatable===!0?"*":"";return e.short===void 0||e.isRepeatable===!0?[e.long,...e.short===void 0?[]:[e.short]].map(s=>`'${i}${s}[${n(e.help)}]${l}'`):[`'(${e.long} ${e.short})'{${e.long},${e.short}}'[${n(e.help)}]${l}'`]}).flat(),...a(t).length>0?[`'1:${t.arguments[0]?.name??""}:(${a(t).join(" ")})'`,"'*:file:_files'"]:["'*::argument:_files'"]],"specs"),m=c.map(t=>`    ${t.name})
      shift words; ((CURRENT--))
      _arguments ${o(t).join(` \\
        `)} ;;`).join(`
`);return`#compdef devshell
# zsh completion of devshell
_devshell() {
  local -a commands=(
${c.map(t=>`    '${t.name}:${n(t.summary)}'`).join(`
`)}
  )
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _describe command commands
    _files
    return
  fi
  case $words[2] in
${m}
    *)
      _arguments ${f.flatMap(o).join(` \\
        `)} ;;
  esac
}
if [[ $funcstack[1] == _devshell ]]; then _devshell "$@"; else compdef _devshell devshell; fi
`}r(g,"renderZshCompletion");function v(){let n=r(e=>e.replaceAll("\\","\\\\").replaceAll("'","\\'"),"escape"),m=`not __fish_seen_subcommand_from ${c.map(e=>e.name).join(" ")}`,t=c.map(e=>`complete -c devshell -n '${m}' -a ${e.name} -d '${n(e.summary)}'`);for(let e of[...f,...c]){let l=e.name==="enter"?m:`__fish_seen_subcommand_from ${e.name}`;for(let i of d(e)){let s=i.short===void 0?"":` -s ${i.short.slice(1)}`,_=i.values.length===0?"":i.completes===void 0?" -x":" -r";t.push(`complete -c devshell -n '${l}' -l ${i.long.slice(2)}${s}${_} -d '${n(i.help)}'`)}a(e).length>0&&t.push(`complete -c devshell -n '${l}' -f -a '${a(e).join(" ")}'`)}return`# fish completion of devshell
${t.join(`
`)}
`}r(v,"renderFishCompletion");function w({words:n}){return process.stdout.write(u(n[0]??"")),0}r(w,"run");export{w as run};
