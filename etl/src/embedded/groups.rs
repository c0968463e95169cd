//! The embedded broker's consumer groups, by Kafka's protocol: who is in a group, who leads it, and which partitions the leader
//! gave to whom.
//!
//! Tansu's own coordinator removes a member that fell silent, but gives its partitions to nobody, and lets each member wait
//! for seconds. Here a member that is not heard of within its session timeout leaves, and the others join anew; a join ends as
//! soon as everybody has joined. Groups live in memory: after a restart of the broker their members are unknown, and join.
//! Committed offsets are kept by Tansu.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use tansu_broker::{
    Result,
    coordinator::group::{Coordinator, OffsetCommit, administrator::Controller},
};
use tansu_sans_io::{
    Body, ErrorCode,
    heartbeat_response::HeartbeatResponse,
    join_group_request::JoinGroupRequestProtocol,
    join_group_response::{JoinGroupResponse, JoinGroupResponseMember},
    leave_group_request::MemberIdentity,
    leave_group_response::{LeaveGroupResponse, MemberResponse},
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic},
    sync_group_request::SyncGroupRequestAssignment,
    sync_group_response::SyncGroupResponse,
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::storage::BrokerStorage;

/// Whoever waits for others looks this often whether one of them is gone.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
pub(super) struct Groups {
    offsets: Controller<BrokerStorage>,
    groups: Arc<Mutex<HashMap<String, Group>>>,
    changed: Arc<Notify>,
}

impl Groups {
    pub(super) fn new(offsets: Controller<BrokerStorage>) -> Groups {
        Groups { offsets, groups: Arc::default(), changed: Arc::default() }
    }

    /// Does something with the group as it is now, and wakes those who wait for it.
    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Group, Instant) -> T) -> T {
        let now = Instant::now();
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.entry(name.to_owned()).or_default();
        let before = group.moment();
        group.look_after(now);
        let done = work(group, now);
        group.look_after(now);
        if group.moment() != before {
            self.changed.notify_waiters();
        }
        if group.members.is_empty() {
            groups.remove(name);
        }
        done
    }

    /// Asks until the group has an answer.
    async fn wait<T>(&self, name: &str, ask: impl Fn(&mut Group) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(answer) = self.with(name, |group, _| ask(group)) {
                return answer;
            }
            let _ = tokio::time::timeout(LOOK_EVERY, changed).await;
        }
    }
}

#[derive(Debug, Default)]
struct Group {
    generation: i32,
    phase: Phase,
    protocol_type: String,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Everybody has their partitions.
    #[default]
    Stable,
    /// Waits for members to join, until then at the latest.
    Joining(Instant),
    /// Waits for what the leader gives to whom.
    Assigning,
}

#[derive(Debug)]
struct Member {
    instance: Option<String>,
    protocols: Vec<(String, Bytes)>,
    session: Duration,
    rebalance: Duration,
    heard: Instant,
    /// Waits for the others in the present phase of joining.
    joined: bool,
    assignment: Bytes,
}

/// What a member says when it joins.
struct Joining<'a> {
    member_id: &'a str,
    client: &'a str,
    instance: Option<&'a str>,
    protocol_type: &'a str,
    protocols: Vec<(String, Bytes)>,
    session: Duration,
    rebalance: Duration,
}

impl Group {
    /// Changes whenever somebody who waits may go on.
    fn moment(&self) -> (i32, Phase, usize) {
        (self.generation, self.phase, self.members.len())
    }

    /// Does what time has brought: silent members go, and a join that is complete ends.
    fn look_after(&mut self, now: Instant) {
        let before = self.members.len();
        let joining = matches!(self.phase, Phase::Joining(_));
        self.members.retain(|_, member| joining && member.joined || now < member.heard + member.session);
        if self.members.len() < before && !joining {
            self.begin_joining(now);
        }
        let Phase::Joining(until) = self.phase else { return };
        if now >= until {
            self.members.retain(|_, member| member.joined);
        }
        if self.members.is_empty() {
            self.phase = Phase::Stable;
        } else if self.members.values().all(|member| member.joined) {
            self.end_joining(now);
        }
    }

    fn begin_joining(&mut self, now: Instant) {
        let patience = self.members.values().map(|member| member.rebalance).max().unwrap_or_default();
        self.phase = Phase::Joining(now + patience);
        for member in self.members.values_mut() {
            member.joined = false;
        }
    }

    fn end_joining(&mut self, now: Instant) {
        self.generation += 1;
        self.phase = Phase::Assigning;
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        self.protocol = self.common_protocols().first().cloned().unwrap_or_default();
        for member in self.members.values_mut() {
            member.heard = now;
            member.joined = false;
            member.assignment = Bytes::new();
        }
    }

    /// The protocols that every member knows, as the first prefers them.
    fn common_protocols(&self) -> Vec<String> {
        let mut members = self.members.values();
        let first = members.next().map(|member| member.protocols.as_slice()).unwrap_or_default();
        let known = |name: &str| self.members.values().all(|member| member.metadata(name).is_some());
        first.iter().map(|(name, _)| name.clone()).filter(|name| known(name)).collect()
    }

    fn of_instance(&self, instance: &str) -> Option<String> {
        let mut members = self.members.iter();
        members.find(|(_, member)| member.instance.as_deref() == Some(instance)).map(|(id, _)| id.clone())
    }

    /// Why somebody who is not a member is refused.
    fn stranger(&self, instance: Option<&str>) -> ErrorCode {
        match instance.and_then(|instance| self.of_instance(instance)) {
            Some(_) => ErrorCode::FencedInstanceId,
            None => ErrorCode::UnknownMemberId,
        }
    }

    /// Takes a member in; it then waits for a later generation than the one returned with its identifier.
    fn join(&mut self, now: Instant, joining: Joining<'_>) -> Result<(String, i32), ErrorCode> {
        let id = if joining.member_id.is_empty() {
            // A process that was started again takes the place of its former self.
            if let Some(former) = joining.instance.and_then(|instance| self.of_instance(instance)) {
                self.members.remove(&former);
            }
            format!("{}-{}", joining.instance.unwrap_or(joining.client), Uuid::new_v4())
        } else if self.members.contains_key(joining.member_id) {
            joining.member_id.to_owned()
        } else {
            return Err(self.stranger(joining.instance));
        };
        let others = self.members.iter().filter(|(other, _)| **other != id);
        let shared = |name: &str| others.clone().all(|(_, member)| member.metadata(name).is_some());
        let other_type = others.clone().next().is_some() && self.protocol_type != joining.protocol_type;
        if other_type || !joining.protocols.iter().any(|(name, _)| shared(name)) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        joining.protocol_type.clone_into(&mut self.protocol_type);
        if !matches!(self.phase, Phase::Joining(_)) {
            self.begin_joining(now);
        }
        let member = Member {
            instance: joining.instance.map(ToOwned::to_owned),
            protocols: joining.protocols,
            session: joining.session,
            rebalance: joining.rebalance,
            heard: now,
            joined: true,
            assignment: Bytes::new(),
        };
        self.members.insert(id.clone(), member);
        Ok((id, self.generation))
    }

    /// What a member is told that joined in an earlier generation; nothing as long as it has to wait.
    fn joined(&self, id: &str, before: i32) -> Option<JoinGroupResponse> {
        if !self.members.contains_key(id) {
            return Some(refused_to_join(ErrorCode::UnknownMemberId));
        }
        if self.generation <= before {
            return None;
        }
        let members = self.members.iter().filter(|_| id == self.leader).map(|(id, member)| {
            JoinGroupResponseMember::default()
                .member_id(id.clone())
                .group_instance_id(member.instance.clone())
                .metadata(member.metadata(&self.protocol).cloned().unwrap_or_default())
        });
        Some(
            refused_to_join(ErrorCode::None)
                .generation_id(self.generation)
                .protocol_type(Some(self.protocol_type.clone()))
                .protocol_name(Some(self.protocol.clone()))
                .leader(self.leader.clone())
                .member_id(id.to_owned())
                .members(Some(members.collect())),
        )
    }

    /// Whether the member belongs to the generation; it was heard of then.
    fn hear(&mut self, now: Instant, id: &str, instance: Option<&str>, generation: i32) -> Result<(), ErrorCode> {
        let stranger = self.stranger(instance);
        let member = self.members.get_mut(id).ok_or(stranger)?;
        member.heard = now;
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }

    fn assign(&mut self, assignments: &[SyncGroupRequestAssignment]) {
        for given in assignments {
            if let Some(member) = self.members.get_mut(&given.member_id) {
                member.assignment = given.assignment.clone();
            }
        }
        self.phase = Phase::Stable;
    }

    /// The partitions of a member; nothing as long as the leader has not said.
    fn assignment(&self, id: &str, generation: i32) -> Option<Result<Bytes, ErrorCode>> {
        let Some(member) = self.members.get(id) else { return Some(Err(ErrorCode::UnknownMemberId)) };
        match self.phase {
            _ if self.generation != generation => Some(Err(ErrorCode::RebalanceInProgress)),
            Phase::Joining(_) => Some(Err(ErrorCode::RebalanceInProgress)),
            Phase::Assigning => None,
            Phase::Stable => Some(Ok(member.assignment.clone())),
        }
    }

    fn leave(&mut self, now: Instant, id: &str, instance: Option<&str>) -> ErrorCode {
        let named = if id.is_empty() { instance.and_then(|instance| self.of_instance(instance)) } else { None };
        let id = named.unwrap_or_else(|| id.to_owned());
        if self.members.remove(&id).is_none() {
            return ErrorCode::UnknownMemberId;
        }
        if !matches!(self.phase, Phase::Joining(_)) {
            self.begin_joining(now);
        }
        ErrorCode::None
    }
}

impl Member {
    fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, metadata)| metadata)
    }
}

fn refused_to_join(code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .throttle_time_ms(Some(0))
        .error_code(code.into())
        .generation_id(-1)
        .protocol_type(None)
        .protocol_name(Some(String::new()))
        .leader(String::new())
        .skip_assignment(Some(false))
        .member_id(String::new())
        .members(Some(Vec::new()))
}

fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

#[async_trait]
impl Coordinator for Groups {
    async fn join(
        &mut self,
        client_id: Option<&str>,
        group_id: &str,
        session_timeout_ms: i32,
        rebalance_timeout_ms: Option<i32>,
        member_id: &str,
        group_instance_id: Option<&str>,
        protocol_type: &str,
        protocols: Option<&[JoinGroupRequestProtocol]>,
        _reason: Option<&str>,
    ) -> Result<Body> {
        let protocols = protocols.unwrap_or_default().iter();
        let joining = Joining {
            member_id,
            client: client_id.unwrap_or("client"),
            instance: group_instance_id,
            protocol_type,
            protocols: protocols.map(|protocol| (protocol.name.clone(), protocol.metadata.clone())).collect(),
            session: milliseconds(session_timeout_ms),
            rebalance: milliseconds(rebalance_timeout_ms.unwrap_or(session_timeout_ms)),
        };
        let response = match self.with(group_id, |group, now| group.join(now, joining)) {
            Ok((id, before)) => self.wait(group_id, |group| group.joined(&id, before)).await,
            Err(code) => refused_to_join(code).member_id(member_id.to_owned()),
        };
        Ok(response.into())
    }

    async fn sync(
        &mut self,
        group_id: &str,
        generation_id: i32,
        member_id: &str,
        group_instance_id: Option<&str>,
        _protocol_type: Option<&str>,
        _protocol_name: Option<&str>,
        assignments: Option<&[SyncGroupRequestAssignment]>,
    ) -> Result<Body> {
        let heard = self.with(group_id, |group, now| {
            group.hear(now, member_id, group_instance_id, generation_id)?;
            if group.phase == Phase::Assigning && group.leader == member_id {
                group.assign(assignments.unwrap_or_default());
            }
            Ok((group.protocol_type.clone(), group.protocol.clone()))
        });
        let (code, assignment, protocol) = match heard {
            Ok(protocol) => match self.wait(group_id, |group| group.assignment(member_id, generation_id)).await {
                Ok(assignment) => (ErrorCode::None, assignment, Some(protocol)),
                Err(code) => (code, Bytes::new(), Some(protocol)),
            },
            Err(code) => (code, Bytes::new(), None),
        };
        let (protocol_type, protocol) = protocol.unzip();
        Ok(SyncGroupResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(code.into())
            .protocol_type(protocol_type)
            .protocol_name(protocol)
            .assignment(assignment)
            .into())
    }

    async fn heartbeat(
        &mut self,
        group_id: &str,
        generation_id: i32,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<Body> {
        let code =
            self.with(group_id, |group, now| match group.hear(now, member_id, group_instance_id, generation_id) {
                Err(code) => code,
                Ok(()) if matches!(group.phase, Phase::Joining(_)) => ErrorCode::RebalanceInProgress,
                Ok(()) => ErrorCode::None,
            });
        Ok(HeartbeatResponse::default().throttle_time_ms(Some(0)).error_code(code.into()).into())
    }

    async fn leave(
        &mut self,
        group_id: &str,
        member_id: Option<&str>,
        members: Option<&[MemberIdentity]>,
    ) -> Result<Body> {
        let mut leaving: Vec<(String, Option<String>)> = Vec::new();
        leaving.extend(member_id.map(|id| (id.to_owned(), None)));
        let named = members.unwrap_or_default().iter();
        leaving.extend(named.map(|member| (member.member_id.clone(), member.group_instance_id.clone())));
        let answers = self.with(group_id, |group, now| {
            let answer = |(id, instance): (String, Option<String>)| {
                let code = group.leave(now, &id, instance.as_deref());
                MemberResponse::default().member_id(id).group_instance_id(instance).error_code(code.into())
            };
            leaving.into_iter().map(answer).collect::<Vec<_>>()
        });
        Ok(LeaveGroupResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(ErrorCode::None.into())
            .members(Some(answers))
            .into())
    }

    async fn offset_commit(&mut self, detail: OffsetCommit<'_>) -> Result<Body> {
        self.offsets.offset_commit(detail).await
    }

    async fn offset_fetch(
        &mut self,
        group_id: Option<&str>,
        topics: Option<&[OffsetFetchRequestTopic]>,
        groups: Option<&[OffsetFetchRequestGroup]>,
        require_stable: Option<bool>,
    ) -> Result<Body> {
        self.offsets.offset_fetch(group_id, topics, groups, require_stable).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Duration = Duration::from_secs(10);

    fn join(
        group: &mut Group,
        now: Instant,
        member_id: &str,
        instance: Option<&str>,
    ) -> Result<(String, i32), ErrorCode> {
        let protocols = vec![("range".to_owned(), Bytes::from_static(b"topics"))];
        let (client, protocol_type, rebalance) = ("test", "consumer", Duration::from_secs(300));
        let joining = Joining { member_id, client, instance, protocol_type, protocols, session: SESSION, rebalance };
        let joined = group.join(now, joining);
        group.look_after(now);
        joined
    }

    fn give(group: &mut Group, id: &str, partitions: &'static [u8]) {
        let given = SyncGroupRequestAssignment::default().member_id(id.to_owned());
        group.assign(&[given.assignment(Bytes::from_static(partitions))]);
    }

    #[test]
    fn a_join_waits_for_everybody_and_for_nobody_who_is_gone() {
        let mut group = Group::default();
        let start = Instant::now();
        let (first, before) = join(&mut group, start, "", None).expect("a member");
        assert!(group.joined(&first, before).is_some(), "alone, there is nobody to wait for");
        give(&mut group, &first, b"both");

        let (second, before) = join(&mut group, start, "", None).expect("a member");
        assert_eq!(group.joined(&second, before), None, "the first has not joined again");
        assert_eq!(group.assignment(&first, 1), Some(Err(ErrorCode::RebalanceInProgress)));
        join(&mut group, start, &first, None).expect("a member");
        let told = group.joined(&second, before).expect("everybody has joined");
        assert_eq!((told.generation_id, told.leader.as_str()), (2, first.as_str()));
        assert_eq!(group.hear(start, &first, None, 1), Err(ErrorCode::IllegalGeneration));
        give(&mut group, &first, b"one");

        // The first falls silent: the second is told to join, and is then alone.
        let later = start + SESSION / 2;
        assert_eq!(group.hear(later, &second, None, 2), Ok(()));
        let end = start + SESSION;
        group.look_after(end);
        assert!(matches!(group.phase, Phase::Joining(_)));
        assert_eq!(group.hear(end, &first, None, 2), Err(ErrorCode::UnknownMemberId));
        let (_, before) = join(&mut group, end, &second, None).expect("a member");
        assert_eq!(group.joined(&second, before).expect("an answer").leader, second);
    }

    #[test]
    fn an_instance_takes_the_place_of_its_former_self() {
        let mut group = Group::default();
        let start = Instant::now();
        let (former, _) = join(&mut group, start, "", Some("one")).expect("a member");
        let (present, before) = join(&mut group, start, "", Some("one")).expect("a member");
        assert!(group.joined(&present, before).is_some(), "it does not wait for itself");
        assert_eq!(group.hear(start, &former, Some("one"), 1), Err(ErrorCode::FencedInstanceId));
        assert_eq!(group.leave(start, "", Some("one")), ErrorCode::None);
    }

    #[test]
    fn who_dies_while_joining_is_not_waited_for_for_ever() {
        let mut group = Group::default();
        let start = Instant::now();
        let (leader, _) = join(&mut group, start, "", None).expect("a member");
        give(&mut group, &leader, b"both");
        let (second, before) = join(&mut group, start, "", None).expect("a member");
        // The leader died before it joined again.
        group.look_after(start + SESSION);
        let told = group.joined(&second, before).expect("an answer");
        assert_eq!((told.leader, told.members.map(|members| members.len())), (second, Some(1)));
    }
}
