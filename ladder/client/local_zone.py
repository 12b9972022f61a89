"""The time zone of this terminal, whether it has a name or not."""

from datetime import UTC, datetime, timedelta, tzinfo


class LocalZone(tzinfo):
    """What the system's clock shows, at any time: TZ, or what /etc/localtime says."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """As the system has it; of a time that is shown twice, `fold` says which is meant."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:  # noqa: ARG002 - the offset says it all
        """Not told apart."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """The system's own."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """The wall clock at this moment."""
        shown = dt.replace(tzinfo=UTC).astimezone()
        first = shown.replace(tzinfo=self, fold=0)
        return first if first.utcoffset() == shown.utcoffset() else first.replace(fold=1)
