"""Which token speaks in which workspace of Slack."""

from collections.abc import Callable
from dataclasses import dataclass, field

from parley.errors import Undeliverable
from parley.ports import Clock, Workspaces

REMEMBERED_SECONDS = 180.0  # after an uninstallation Slack refuses the token itself; this spares it in our memory


@dataclass(slots=True)
class SlackTokens:
    """A workspace's own token where it has installed the app, else the one that somebody put into Secrets Manager."""

    workspaces: Workspaces | None
    only: Callable[[], str | None]  # of the one workspace of those who have set it up by hand
    clock: Clock
    _known: dict[str, tuple[str, float]] = field(default_factory=dict)  # by team, with when it was read

    def __call__(self, team: str) -> str:
        """The token, decrypted.

        Raises:
            Undeliverable: there is none.
            Unavailable: it cannot be had just now.
        """
        token, read_at = self._known.get(team, ("", 0.0))
        if not token or self.clock() - read_at >= REMEMBERED_SECONDS:
            self._known.pop(team, None)
            token = (self.workspaces.token(team) if self.workspaces else None) or (self.only() or "").strip()
            if not token:
                raise Undeliverable(
                    f"the app is not installed in the workspace {team} (any more)", reason="not_installed"
                )
            self._known[team] = (token, self.clock())
        return token

    def forget(self, team: str) -> None:
        """Has the token looked up anew: Slack does not take it any more."""
        self._known.pop(team, None)
