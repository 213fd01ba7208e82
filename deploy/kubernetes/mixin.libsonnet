// The rules and dashboards as a mixin, for those who build their monitoring with jsonnet. It imports the
// shipped files, so keep this file in its place beside them.
local groups(text) = { groups+: std.parseYaml(text).groups };

{
  prometheusRules+:: groups(importstr '../prometheus/pacemaker-recording.rules.yml'),
  prometheusAlerts+:: groups(importstr '../prometheus/pacemaker-alerts.rules.yml'),
  grafanaDashboards+:: {
    'pacemaker-bundle.json': import '../../grafana/dashboards/bundle.json',
    'pacemaker-cluster.json': import '../../grafana/dashboards/cluster.json',
    'pacemaker-exporter.json': import '../../grafana/dashboards/exporter.json',
    'pacemaker-overview.json': import '../../grafana/dashboards/overview.json',
  },
}
