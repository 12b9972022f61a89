{{- /* What the templates share: names, labels, one pod's security, environment and secrets. */}}

{{- define "ladder.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "ladder.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "ladder.name" .) .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name (include "ladder.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Selectors: what never changes. Called with (dict "root" $ "service" NAME). */}}
{{- define "ladder.selector" -}}
app.kubernetes.io/name: {{ include "ladder.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end }}

{{- define "ladder.labels" -}}
{{ include "ladder.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "ladder.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Where the links in messages lead. With neither publicUrl nor Ingress: the router's Service, which opens
inside the cluster only; NOTES.txt says so. */}}
{{- define "ladder.publicUrl" -}}
{{- if and .Values.ingress.enabled (not .Values.publicUrl) }}{{ ternary "https" "http" (ne .Values.ingress.tlsSecret "") }}://{{ .Values.ingress.host }}
{{- else }}{{ .Values.publicUrl | default (printf "http://%s-router.%s.svc" (include "ladder.fullname" .) .Release.Namespace) }}
{{- end }}
{{- end }}

{{- define "ladder.policyConfigMap" -}}
{{- if .Values.policy.existingConfigMap }}{{ .Values.policy.existingConfigMap }}
{{- else if .Values.policy.files }}{{ include "ladder.fullname" . }}-policy
{{- end }}
{{- end }}

{{- define "ladder.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ladder.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "ladder.sasl" -}}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}yes{{ end }}
{{- end }}

{{- /* Which keys of the Secret a process reads. On Kafka intake needs neither database nor secret key. */}}
{{- define "ladder.secretKeys" -}}
{{- $keys := list }}
{{- if or (ne .service "intake") (not .root.Values.kafka.bootstrapServers) }}{{ $keys = append $keys "database-url" }}{{ end }}
{{- if has .service (list "router" "notifier") }}{{ $keys = append $keys "secret-key" }}{{ end }}
{{- if and .root.Values.kafka.bootstrapServers (include "ladder.sasl" .root) }}{{ $keys = append $keys "kafka-sasl-password" }}{{ end }}
{{- if and (eq .service "notifier") .root.Values.mail.enabled }}{{ $keys = append $keys "smtp-url" }}{{ end }}
{{- if and (eq .service "notifier") .root.Values.deadman.enabled }}{{ $keys = append $keys "deadman-url" }}{{ end }}
{{- join "," $keys }}
{{- end }}

{{- define "ladder.env" -}}
- {name: LADDER_LISTEN, value: ":8080"}
- {name: LADDER_LOG_LEVEL, value: {{ .root.Values.logLevel | quote }}}
- {name: LADDER_CANARY_SECONDS, value: {{ int .root.Values.canarySeconds | quote }}}
{{- with .root.Values.metrics.port }}
- {name: LADDER_METRICS_LISTEN, value: ":{{ int . }}"}
{{- end }}
{{- if not .root.Values.docs }}
- {name: LADDER_DOCS, value: "off"}
{{- end }}
{{- with .root.Values.trustedProxies }}
- {name: LADDER_TRUSTED_PROXIES, value: {{ join "," . | quote }}}
{{- end }}
{{- with .root.Values.kafka }}
{{- if .bootstrapServers }}
- {name: LADDER_KAFKA_BOOTSTRAP_SERVERS, value: {{ .bootstrapServers | quote }}}
- {name: LADDER_KAFKA_SECURITY_PROTOCOL, value: {{ .securityProtocol | quote }}}
{{- if hasPrefix "SASL" .securityProtocol }}
- {name: LADDER_KAFKA_SASL_MECHANISM, value: {{ .saslMechanism | quote }}}
- {name: LADDER_KAFKA_SASL_USERNAME, value: {{ .saslUsername | quote }}}
{{- end }}
{{- if .tlsCaSecret }}
- {name: LADDER_KAFKA_TLS_CA, value: /run/secrets/kafka-ca/ca.crt}
{{- end }}
{{- end }}
{{- end }}
{{- range splitList "," (include "ladder.secretKeys" .) }}
{{- if . }}
- {name: LADDER_{{ . | replace "-" "_" | upper }}_FILE, value: /run/secrets/ladder/{{ . }}}
{{- end }}
{{- end }}
{{- if and (eq .service "router") (include "ladder.policyConfigMap" .root) }}
- {name: LADDER_POLICY, value: /etc/ladder/policy}
{{- end }}
{{- if eq .service "router" }}
{{- if or .root.Values.publicUrl .root.Values.ingress.enabled }}
- {name: LADDER_PUBLIC_URL, value: {{ include "ladder.publicUrl" .root | quote }}}
{{- end }}
- {name: LADDER_KEEP_INCIDENTS_DAYS, value: {{ int .root.Values.keep.incidents | quote }}}
- {name: LADDER_KEEP_REPORTS_DAYS, value: {{ int .root.Values.keep.reports | quote }}}
- {name: LADDER_KEEP_DEAD_LETTERS_DAYS, value: {{ int .root.Values.keep.deadLetters | quote }}}
{{- end }}
{{- if eq .service "notifier" }}
- {name: LADDER_NOTIFIER_KEEP_DAYS, value: {{ int .root.Values.keep.deliveries | quote }}}
- {name: LADDER_PUBLIC_URL, value: {{ include "ladder.publicUrl" .root | quote }}}
{{- if .root.Values.mail.enabled }}
- {name: LADDER_MAIL_FROM, value: {{ .root.Values.mail.from | quote }}}
{{- end }}
{{- if .root.Values.secrets.contacts }}
- {name: LADDER_SECRETS_DIR, value: /run/secrets/contacts}
{{- end }}
{{- end }}
{{- if has .service (list "intake" "notifier") }}
{{- with .root.Values.outboundAllow }}
- {name: LADDER_OUTBOUND_ALLOW, value: {{ join "," . | quote }}}
{{- end }}
{{- end }}
{{- if and (eq .service "intake") .root.Values.secrets.signing }}
- {name: LADDER_SECRETS_DIR, value: /run/secrets/signing}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ladder.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "ladder.secretKeys" . }}
- {name: secrets, mountPath: /run/secrets/ladder, readOnly: true}
{{- end }}
{{- if and .root.Values.kafka.bootstrapServers .root.Values.kafka.tlsCaSecret }}
- {name: kafka-ca, mountPath: /run/secrets/kafka-ca, readOnly: true}
{{- end }}
{{- if and (eq .service "router") (include "ladder.policyConfigMap" .root) }}
- {name: policy, mountPath: /etc/ladder/policy, readOnly: true}
{{- end }}
{{- if and (eq .service "notifier") .root.Values.secrets.contacts }}
- {name: contacts, mountPath: /run/secrets/contacts, readOnly: true}
{{- end }}
{{- if and (eq .service "intake") .root.Values.secrets.signing }}
- {name: signing, mountPath: /run/secrets/signing, readOnly: true}
{{- end }}
{{- end }}

{{- define "ladder.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 64Mi}}
{{- with include "ladder.secretKeys" . }}
- name: secrets
  secret:
    secretName: {{ $.root.Values.secrets.existing }}
    items:
      {{- range splitList "," . }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- if and .root.Values.kafka.bootstrapServers .root.Values.kafka.tlsCaSecret }}
- {name: kafka-ca, secret: {secretName: {{ .root.Values.kafka.tlsCaSecret }}}}
{{- end }}
{{- if and (eq .service "router") (include "ladder.policyConfigMap" .root) }}
- {name: policy, configMap: {name: {{ include "ladder.policyConfigMap" .root }}}}
{{- end }}
{{- if and (eq .service "notifier") .root.Values.secrets.contacts }}
- {name: contacts, secret: {secretName: {{ .root.Values.secrets.contacts }}}}
{{- end }}
{{- if and (eq .service "intake") .root.Values.secrets.signing }}
- {name: signing, secret: {secretName: {{ .root.Values.secrets.signing }}}}
{{- end }}
{{- end }}
