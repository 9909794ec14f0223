"""Contains all the data models used in inputs/outputs"""

from .a2a_message_view import A2AMessageView
from .a2a_status_view import A2AStatusView
from .a2a_task_view import A2ATaskView
from .activity import Activity
from .activity_state import ActivityState
from .address_class import AddressClass
from .agent_history_line import AgentHistoryLine
from .agent_status import AgentStatus
from .agent_status_kind import AgentStatusKind
from .agent_type import AgentType
from .amended_view import AmendedView
from .amount_view import AmountView
from .answer_link import AnswerLink
from .answer_times_view import AnswerTimesView
from .answer_view import AnswerView
from .api_key import ApiKey
from .artifact import Artifact
from .artifact_page import ArtifactPage
from .artifact_type import ArtifactType
from .ask_body import AskBody
from .assigned_artifact import AssignedArtifact
from .assigned_task import AssignedTask
from .assignment import Assignment
from .audit_event import AuditEvent
from .authentication import Authentication
from .budget import Budget
from .bulk_action import BulkAction
from .bulk_item import BulkItem
from .bulk_items import BulkItems
from .bulk_request_ids import BulkRequestIds
from .bulk_result import BulkResult
from .bulk_view import BulkView
from .caller_view import CallerView
from .check_view import CheckView
from .cleanup_view import CleanupView
from .comment_page import CommentPage
from .comment_view import CommentView
from .complete_body import CompleteBody
from .completion_view import CompletionView
from .component_view import ComponentView
from .component_view_status import ComponentViewStatus
from .counts_view import CountsView
from .delegate_body import DelegateBody
from .delegate_view import DelegateView
from .delegation_body import DelegationBody
from .delegation_view import DelegationView
from .delivery_kind import DeliveryKind
from .delivery_page import DeliveryPage
from .detailed_view import DetailedView
from .detailed_view_components import DetailedViewComponents
from .detailed_view_status import DetailedViewStatus
from .diff_view import DiffView
from .disabled_body import DisabledBody
from .due_kind import DueKind
from .due_view import DueView
from .emergency_stop import EmergencyStop
from .entry_reference import EntryReference
from .escalation_view import EscalationView
from .event_source import EventSource
from .event_type import EventType
from .extend_body import ExtendBody
from .fail_body import FailBody
from .field_error import FieldError
from .file_view import FileView
from .finished_view import FinishedView
from .force_view import ForceView
from .generated_view import GeneratedView
from .generated_view_status import GeneratedViewStatus
from .grant import Grant
from .grant_body import GrantBody
from .grant_scope import GrantScope
from .grants_body import GrantsBody
from .groups_body import GroupsBody
from .handed_out_task import HandedOutTask
from .handed_out_view import HandedOutView
from .head_view import HeadView
from .health_view import HealthView
from .health_view_status import HealthViewStatus
from .heard_view import HeardView
from .heartbeat_body import HeartbeatBody
from .history_view import HistoryView
from .hitl_action import HitlAction
from .hitl_kind import HitlKind
from .hitl_outcome import HitlOutcome
from .hitl_request import HitlRequest
from .hitl_request_details import HitlRequestDetails
from .hitl_status import HitlStatus
from .interrupt_metadata import InterruptMetadata
from .interrupt_view import InterruptView
from .issued_key_view import IssuedKeyView
from .issued_link_view import IssuedLinkView
from .issued_webhook_view import IssuedWebhookView
from .key_page import KeyPage
from .lease_query import LeaseQuery
from .lease_view import LeaseView
from .limit_view import LimitView
from .link_action import LinkAction
from .link_page import LinkPage
from .link_view import LinkView
from .list_agent_statuses_response_200 import ListAgentStatusesResponse200
from .listed_project import ListedProject
from .live_view import LiveView
from .live_view_status import LiveViewStatus
from .made_artifact import MadeArtifact
from .member import Member
from .member_page import MemberPage
from .member_roles_body import MemberRolesBody
from .message_view import MessageView
from .model_spent_view import ModelSpentView
from .needs_view import NeedsView
from .needs_view_groups import NeedsViewGroups
from .new_answer_link_body import NewAnswerLinkBody
from .new_artifact_body import NewArtifactBody
from .new_budget import NewBudget
from .new_comment_body import NewCommentBody
from .new_emergency_stop import NewEmergencyStop
from .new_key_body import NewKeyBody
from .new_kind import NewKind
from .new_link_body import NewLinkBody
from .new_principal_body import NewPrincipalBody
from .new_project_body import NewProjectBody
from .new_request_body import NewRequestBody
from .new_task_body import NewTaskBody
from .new_webhook_body import NewWebhookBody
from .oldest_view import OldestView
from .oversight import Oversight
from .own_delegation_view import OwnDelegationView
from .permission import Permission
from .permission_view import PermissionView
from .planned_view import PlannedView
from .policy_figures import PolicyFigures
from .policy_view import PolicyView
from .principal import Principal
from .principal_kind import PrincipalKind
from .principal_page import PrincipalPage
from .probe_view import ProbeView
from .probe_view_checks import ProbeViewChecks
from .probe_view_status import ProbeViewStatus
from .problem import Problem
from .progress_view import ProgressView
from .project import Project
from .project_detail import ProjectDetail
from .project_page import ProjectPage
from .project_status import ProjectStatus
from .project_usage import ProjectUsage
from .project_usage_by_agent_type import ProjectUsageByAgentType
from .reach import Reach
from .ready_view import ReadyView
from .ready_view_status import ReadyViewStatus
from .refusal_view import RefusalView
from .refused_result import RefusedResult
from .release_emergency_stop_scope import ReleaseEmergencyStopScope
from .reopen_body import ReopenBody
from .request_page import RequestPage
from .reset_view import ResetView
from .respond_body import RespondBody
from .responded_view import RespondedView
from .resume_body import ResumeBody
from .resume_status import ResumeStatus
from .resume_view import ResumeView
from .role import Role
from .rotate_body import RotateBody
from .rotate_secret_body import RotateSecretBody
from .session import Session
from .session_page import SessionPage
from .spent_view import SpentView
from .start_body import StartBody
from .state_difference import StateDifference
from .state_verification import StateVerification
from .statistics_view import StatisticsView
from .statistics_view_by_agent_type import StatisticsViewByAgentType
from .statistics_view_by_kind import StatisticsViewByKind
from .statistics_view_by_status import StatisticsViewByStatus
from .status_board import StatusBoard
from .step_status import StepStatus
from .step_view import StepView
from .stopped_view import StoppedView
from .stops_view import StopsView
from .subject_artifact_view import SubjectArtifactView
from .subject_view import SubjectView
from .submitted_view import SubmittedView
from .submitted_view_status import SubmittedViewStatus
from .summary_view import SummaryView
from .task import Task
from .task_counts import TaskCounts
from .task_line import TaskLine
from .task_page import TaskPage
from .task_status import TaskStatus
from .ticket_view import TicketView
from .under_review import UnderReview
from .usage_body import UsageBody
from .usage_view import UsageView
from .verify_view import VerifyView
from .version_view import VersionView
from .via import Via
from .vote_view import VoteView
from .webhook import Webhook
from .webhook_change_body import WebhookChangeBody
from .webhook_delivery import WebhookDelivery
from .webhook_disabled import WebhookDisabled
from .webhook_page import WebhookPage
from .webhook_stop import WebhookStop

__all__ = (
    "A2AMessageView",
    "A2AStatusView",
    "A2ATaskView",
    "Activity",
    "ActivityState",
    "AddressClass",
    "AgentHistoryLine",
    "AgentStatus",
    "AgentStatusKind",
    "AgentType",
    "AmendedView",
    "AmountView",
    "AnswerLink",
    "AnswerTimesView",
    "AnswerView",
    "ApiKey",
    "Artifact",
    "ArtifactPage",
    "ArtifactType",
    "AskBody",
    "AssignedArtifact",
    "AssignedTask",
    "Assignment",
    "AuditEvent",
    "Authentication",
    "Budget",
    "BulkAction",
    "BulkItem",
    "BulkItems",
    "BulkRequestIds",
    "BulkResult",
    "BulkView",
    "CallerView",
    "CheckView",
    "CleanupView",
    "CommentPage",
    "CommentView",
    "CompleteBody",
    "CompletionView",
    "ComponentView",
    "ComponentViewStatus",
    "CountsView",
    "DelegateBody",
    "DelegateView",
    "DelegationBody",
    "DelegationView",
    "DeliveryKind",
    "DeliveryPage",
    "DetailedView",
    "DetailedViewComponents",
    "DetailedViewStatus",
    "DiffView",
    "DisabledBody",
    "DueKind",
    "DueView",
    "EmergencyStop",
    "EntryReference",
    "EscalationView",
    "EventSource",
    "EventType",
    "ExtendBody",
    "FailBody",
    "FieldError",
    "FileView",
    "FinishedView",
    "ForceView",
    "GeneratedView",
    "GeneratedViewStatus",
    "Grant",
    "GrantBody",
    "GrantsBody",
    "GrantScope",
    "GroupsBody",
    "HandedOutTask",
    "HandedOutView",
    "HeadView",
    "HealthView",
    "HealthViewStatus",
    "HeardView",
    "HeartbeatBody",
    "HistoryView",
    "HitlAction",
    "HitlKind",
    "HitlOutcome",
    "HitlRequest",
    "HitlRequestDetails",
    "HitlStatus",
    "InterruptMetadata",
    "InterruptView",
    "IssuedKeyView",
    "IssuedLinkView",
    "IssuedWebhookView",
    "KeyPage",
    "LeaseQuery",
    "LeaseView",
    "LimitView",
    "LinkAction",
    "LinkPage",
    "LinkView",
    "ListAgentStatusesResponse200",
    "ListedProject",
    "LiveView",
    "LiveViewStatus",
    "MadeArtifact",
    "Member",
    "MemberPage",
    "MemberRolesBody",
    "MessageView",
    "ModelSpentView",
    "NeedsView",
    "NeedsViewGroups",
    "NewAnswerLinkBody",
    "NewArtifactBody",
    "NewBudget",
    "NewCommentBody",
    "NewEmergencyStop",
    "NewKeyBody",
    "NewKind",
    "NewLinkBody",
    "NewPrincipalBody",
    "NewProjectBody",
    "NewRequestBody",
    "NewTaskBody",
    "NewWebhookBody",
    "OldestView",
    "Oversight",
    "OwnDelegationView",
    "Permission",
    "PermissionView",
    "PlannedView",
    "PolicyFigures",
    "PolicyView",
    "Principal",
    "PrincipalKind",
    "PrincipalPage",
    "ProbeView",
    "ProbeViewChecks",
    "ProbeViewStatus",
    "Problem",
    "ProgressView",
    "Project",
    "ProjectDetail",
    "ProjectPage",
    "ProjectStatus",
    "ProjectUsage",
    "ProjectUsageByAgentType",
    "Reach",
    "ReadyView",
    "ReadyViewStatus",
    "RefusalView",
    "RefusedResult",
    "ReleaseEmergencyStopScope",
    "ReopenBody",
    "RequestPage",
    "ResetView",
    "RespondBody",
    "RespondedView",
    "ResumeBody",
    "ResumeStatus",
    "ResumeView",
    "Role",
    "RotateBody",
    "RotateSecretBody",
    "Session",
    "SessionPage",
    "SpentView",
    "StartBody",
    "StateDifference",
    "StateVerification",
    "StatisticsView",
    "StatisticsViewByAgentType",
    "StatisticsViewByKind",
    "StatisticsViewByStatus",
    "StatusBoard",
    "StepStatus",
    "StepView",
    "StoppedView",
    "StopsView",
    "SubjectArtifactView",
    "SubjectView",
    "SubmittedView",
    "SubmittedViewStatus",
    "SummaryView",
    "Task",
    "TaskCounts",
    "TaskLine",
    "TaskPage",
    "TaskStatus",
    "TicketView",
    "UnderReview",
    "UsageBody",
    "UsageView",
    "VerifyView",
    "VersionView",
    "Via",
    "VoteView",
    "Webhook",
    "WebhookChangeBody",
    "WebhookDelivery",
    "WebhookDisabled",
    "WebhookPage",
    "WebhookStop",
)
