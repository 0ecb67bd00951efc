"""How old a report or a champion may be before Dagster shows it as out of date."""

from datetime import timedelta

import dagster as dg

from deepmark.params import AutomationParams


def with_freshness(defs: dg.Definitions, params: AutomationParams) -> dg.Definitions:
    """The same definitions, with the freshness policies of params.yaml.

    Every `promote` that ends well renews a champion, also one that finds it still the newest; a candidate that is
    refused does not.
    """
    days = {"report": params.report_days, "champion": params.champion_days}

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        allowed = days.get(spec.key.to_user_string())
        if allowed is None:
            return spec
        return dg.apply_freshness_policy(spec, dg.FreshnessPolicy.time_window(fail_window=timedelta(days=allowed)))

    return defs.map_asset_specs(func=with_policy)
